/* echo.c - the floor that every server stands on: libuv's uv_poll on sockets of our own, one recv, one send.
 * Usage: echo SOCKET. Ends when its standard input does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define INPUT_SIZE 65536
#define BACKLOG 128

struct connection {
	uv_poll_t poll;
	int fd;
};

static void
on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	close(connection->fd);
	free(connection);
}

/* Its client reads all replies before it writes again, so a send that does not fit is a client of another kind. */
static void
on_bytes(uv_poll_t *poll, int status, int events)
{
	static char input[INPUT_SIZE];
	struct connection *connection = poll->data;
	ssize_t got = -1;

	(void)events;
	if (status == 0)
		got = recv(connection->fd, input, sizeof(input), MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 &&
	    send(connection->fd, input, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT) == got)
		return;
	uv_poll_stop(poll);
	uv_close((uv_handle_t *)poll, on_closed);
}

static void
on_client(uv_poll_t *listener, int status, int events)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	(void)status;
	(void)events;
	if (!connection)
		abort();
	connection->fd =
		accept4(*(int *)listener->data, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection->fd < 0 ||
	    uv_poll_init(listener->loop, &connection->poll, connection->fd)) {
		free(connection);
		return;
	}
	connection->poll.data = connection;
	uv_poll_start(&connection->poll, UV_READABLE, on_bytes);
}

static void
on_input(uv_poll_t *poll, int status, int events)
{
	char byte;

	(void)status;
	(void)events;
	if (read(STDIN_FILENO, &byte, 1) <= 0)
		uv_stop(poll->loop);
}

int
main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uv_loop_t *loop = uv_default_loop();
	uv_poll_t clients, input;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: echo SOCKET\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, BACKLOG)) {
		perror(argv[1]);
		return 1;
	}
	clients.data = &listener;
	if (uv_poll_init(loop, &clients, listener) ||
	    uv_poll_init(loop, &input, STDIN_FILENO))
		return 1;
	uv_poll_start(&clients, UV_READABLE, on_client);
	uv_poll_start(&input, UV_READABLE, on_input);
	uv_run(loop, UV_RUN_DEFAULT);
	unlink(argv[1]);
	return 0;
}
