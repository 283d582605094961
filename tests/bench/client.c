/* client.c - one client for all systems: sends gets or puts over a Unix socket for a while, and prints one line of
 * JSON about how long they took. Nothing in it depends on whom it speaks to but common/speak.c.
 *
 * A turn is `depth` requests in one send and their replies. One connection is served with blocking calls, more
 * with epoll. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/common/figures.h"
#include "tests/bench/common/speak.h"

#define CONNECTIONS_MAX 1024
#define DEPTH_MAX 1024
#define INPUT_SIZE (4u << 20)
#define BATCH_MAX (4u << 20)
/* Not counted: caches fill, the clock rate settles. */
#define WARM_NS UINT64_C(100000000)

struct options {
	const struct speaker *speaker;
	const char *socket;
	enum speak_work work;
	uint64_t objects;
	uint64_t requests; /* end after these; 0: after seconds */
	double seconds;
	size_t size;
	unsigned connections;
	unsigned depth;
	bool sequential;
	uint64_t first; /* number of the first object */
};

struct connection {
	int fd;
	uint32_t id;
	unsigned waiting; /* replies of this turn */
	uint64_t random;
	uint64_t sent_ns;
	uint8_t *input;
	size_t input_len;
};

struct bench {
	struct options options;
	struct connection connections[CONNECTIONS_MAX];
	uint8_t *batch; /* depth requests, one behind the other */
	struct request requests[DEPTH_MAX];
	uint64_t next; /* object, when sequential */
	uint64_t left; /* requests that may still be sent */
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t misses;
	uint64_t failures;
	struct figures figures;
};

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("bench client: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

/* ---- a turn ---- */

static void
send_all(struct connection *connection, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(connection->fd, bytes, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			die("send: %s", strerror(errno));
		bytes += sent;
		len -= (size_t)sent;
	}
}

static uint64_t
choose(struct bench *bench, struct connection *connection)
{
	uint64_t x = connection->random;

	if (bench->options.sequential)
		return bench->options.first + bench->next++ % bench->options.objects;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	connection->random = x;
	return bench->options.first +
	       (x * UINT64_C(2685821657736338717) >> 16) % bench->options.objects;
}

/* Returns false when there is nothing left to ask. */
static bool
begin_turn(struct bench *bench, struct connection *connection, uint64_t now_ns)
{
	uint64_t count = bench->options.depth;
	size_t len = bench->requests[0].len;

	if (now_ns >= bench->end_ns || !bench->left)
		return false;
	if (count > bench->left)
		count = bench->left;
	bench->left -= count;
	for (unsigned i = 0; i < count; i++)
		request_patch(&bench->requests[i], choose(bench, connection),
			      connection->id++);
	connection->waiting = (unsigned)count;
	connection->sent_ns = now_ns;
	send_all(connection, bench->batch, count * len);
	return true;
}

static void
judge(struct bench *bench, enum speak_outcome outcome)
{
	/* Brine's answer to a put is one without a body. */
	if (outcome == SPEAK_MISS && bench->options.work == SPEAK_GET)
		bench->misses++;
	if (outcome == SPEAK_FAILED)
		bench->failures++;
}

/* Takes the whole replies of the input. */
static void
take_replies(struct bench *bench, struct connection *connection)
{
	size_t at = 0, len;
	enum speak_outcome outcome;

	while (connection->waiting && at < connection->input_len) {
		len = bench->options.speaker->reply(connection->input + at,
						    connection->input_len - at,
						    bench->options.size, &outcome);
		if (!len)
			break;
		judge(bench, outcome);
		at += len;
		connection->waiting--;
	}
	connection->input_len -= at;
	memmove(connection->input, connection->input + at, connection->input_len);
}

static void
receive(struct connection *connection, int flags)
{
	size_t room = INPUT_SIZE - connection->input_len;
	ssize_t got = recv(connection->fd, connection->input + connection->input_len,
			   room, flags);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0)
		die("recv: %s", strerror(errno));
	if (got == 0)
		die("the server closed a connection");
	connection->input_len += (size_t)got;
}

/* Returns the time. */
static uint64_t
end_turn(struct bench *bench, const struct connection *connection)
{
	uint64_t now_ns = figures_now_ns();

	if (connection->sent_ns >= bench->begin_ns)
		figures_add(&bench->figures, now_ns - connection->sent_ns);
	return now_ns;
}

static void
run_blocking(struct bench *bench)
{
	struct connection *connection = &bench->connections[0];
	uint64_t now_ns = figures_now_ns();

	while (begin_turn(bench, connection, now_ns)) {
		while (connection->waiting) {
			receive(connection, 0);
			take_replies(bench, connection);
		}
		now_ns = end_turn(bench, connection);
	}
}

static void
run_epoll(struct bench *bench)
{
	struct epoll_event events[CONNECTIONS_MAX];
	int poll_fd = epoll_create1(EPOLL_CLOEXEC), count;
	unsigned open = 0;

	for (unsigned i = 0; i < bench->options.connections; i++) {
		struct epoll_event event = { .events = EPOLLIN,
					     .data.ptr = &bench->connections[i] };

		if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, bench->connections[i].fd, &event))
			die("epoll_ctl: %s", strerror(errno));
		open += begin_turn(bench, &bench->connections[i], figures_now_ns());
	}
	while (open) {
		count = epoll_wait(poll_fd, events, CONNECTIONS_MAX, -1);
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;

			receive(connection, MSG_DONTWAIT);
			take_replies(bench, connection);
			if (!connection->waiting)
				open -= !begin_turn(bench, connection,
						    end_turn(bench, connection));
		}
	}
	close(poll_fd);
}

/* ---- before and after ---- */

static int
connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("the path %s is too long", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("cannot connect to %s: %s", path, strerror(errno));
	return fd;
}

static void
open_connection(struct bench *bench, struct connection *connection, unsigned number)
{
	uint8_t hello[SPEAK_ECHO_SIZE];
	size_t len = bench->options.speaker->hello(hello);
	enum speak_outcome outcome;
	size_t size = bench->options.size;

	connection->fd = connect_to(bench->options.socket);
	connection->random = UINT64_C(0x9e3779b97f4a7c15) * (number + 1);
	connection->input = malloc(INPUT_SIZE);
	if (!connection->input)
		die("no memory");
	if (!len)
		return;
	send_all(connection, hello, len);
	connection->id = 1;
	do {
		receive(connection, 0);
		len = bench->options.speaker->reply(
			connection->input, connection->input_len, size, &outcome);
	} while (!len);
	if (outcome == SPEAK_FAILED)
		die("the server refused the connection");
	connection->input_len = 0;
}

static void
make_batch(struct bench *bench)
{
	struct request *first = &bench->requests[0];

	bench->batch = calloc(1, BATCH_MAX);
	if (!bench->batch)
		die("no memory");
	*first = (struct request){ .speaker = bench->options.speaker,
				   .bytes = bench->batch };
	first->speaker->make(first, bench->options.work, bench->options.size);
	if (first->len * bench->options.depth > BATCH_MAX)
		die("too many or too large requests in one turn");
	for (unsigned i = 1; i < bench->options.depth; i++) {
		bench->requests[i] = *first;
		bench->requests[i].bytes = first->bytes + i * first->len;
		memcpy(bench->requests[i].bytes, first->bytes, first->len);
	}
}

static void
print_figures(const struct bench *bench, uint64_t end_ns)
{
	const struct figures *figures = &bench->figures;
	double seconds = (double)(end_ns - bench->begin_ns) / 1e9;
	double turns = (double)(figures->count ? figures->count : 1);

	printf("{\"turns\": %" PRIu64 ", \"rate\": %.1f, \"mean_us\": %.3f, "
	       "\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f, "
	       "\"misses\": %" PRIu64 ", \"failures\": %" PRIu64 "}\n",
	       figures->count, turns * bench->options.depth / seconds,
	       (double)figures->sum_ns / turns / 1e3,
	       (double)figures_at(figures, 0.5) / 1e3,
	       (double)figures_at(figures, 0.99) / 1e3,
	       (double)figures_at(figures, 0.999) / 1e3, (double)figures->max_ns / 1e3,
	       bench->misses, bench->failures);
}

static uint64_t
number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*end || value < min || value > max)
		die("%s: not a number from %" PRIu64 " to %" PRIu64, text, min, max);
	return value;
}

static enum speak_work
work_named(const char *name)
{
	if (!strcmp(name, "get"))
		return SPEAK_GET;
	if (!strcmp(name, "put"))
		return SPEAK_PUT;
	if (!strcmp(name, "put-disk"))
		return SPEAK_PUT_DISK;
	die("%s: no such work (get, put, put-disk)", name);
}

static void
parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "system", required_argument, NULL, 'y' },
		{ "socket", required_argument, NULL, 's' },
		{ "work", required_argument, NULL, 'w' },
		{ "objects", required_argument, NULL, 'n' },
		{ "requests", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "size", required_argument, NULL, 'z' },
		{ "connections", required_argument, NULL, 'c' },
		{ "depth", required_argument, NULL, 'd' },
		{ "first", required_argument, NULL, 'f' },
		{ "sequential", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'y':
			options->speaker = speaker_find(optarg);
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'w':
			options->work = work_named(optarg);
			break;
		case 'n':
			options->objects = number(optarg, 1, UINT32_MAX);
			break;
		case 'r':
			options->requests = number(optarg, 1, UINT32_MAX);
			break;
		case 't':
			options->seconds = atof(optarg);
			break;
		case 'z':
			options->size = number(optarg, SPEAK_KEY_LEN, SPEAK_VALUE_MAX);
			break;
		case 'c':
			options->connections =
				(unsigned)number(optarg, 1, CONNECTIONS_MAX);
			break;
		case 'd':
			options->depth = (unsigned)number(optarg, 1, DEPTH_MAX);
			break;
		case 'f':
			options->first = number(optarg, 0, UINT32_MAX);
			break;
		case 'q':
			options->sequential = true;
			break;
		default:
			exit(2);
		}
	}
	if (!options->speaker || !options->socket)
		die("--system (brine, redis, memcached, echo) and --socket are needed");
}

int
main(int argc, char **argv)
{
	static struct bench bench = {
		.options = { .objects = 1,
			     .seconds = 1,
			     .size = 100,
			     .connections = 1,
			     .depth = 1 },
	};
	struct options *options = &bench.options;
	uint64_t end_ns;

	parse(argc, argv, options);
	make_batch(&bench);
	for (unsigned i = 0; i < options->connections; i++)
		open_connection(&bench, &bench.connections[i], i);
	bench.left = options->requests ? options->requests : UINT64_MAX;
	bench.begin_ns = figures_now_ns() + (options->requests ? 0 : WARM_NS);
	bench.end_ns = options->requests
			       ? UINT64_MAX
			       : bench.begin_ns + (uint64_t)(options->seconds * 1e9);
	if (options->connections == 1)
		run_blocking(&bench);
	else
		run_epoll(&bench);
	end_ns = figures_now_ns();
	print_figures(&bench, end_ns);
	return 0;
}
