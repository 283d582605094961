/* fake.c - the tests' own daemon. Everything but the counters belongs to its thread. */
#include "tests/unit/unit.h"

#include "tests/unit/fake.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/bytes.h"
#include "proto/errors.h"

/* Nothing may be asserted in a thread of which cmocka knows nothing: what must not be ends the program. */
static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fake daemon: %s: %s\n", what, strerror(errno));
	abort();
}

void
fake_send(const struct fake_request *request, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t sent;

	while (len) {
		sent = send(request->conn->fd, at, len, MSG_NOSIGNAL);
		if (sent < 0)
			return; /* the client has gone: that is its business */
		at += sent;
		len -= (size_t)sent;
	}
}

void
fake_reply(const struct fake_request *request, unsigned kind,
	   const struct message *message, const void *body, size_t len)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + 4096], word[FRAME_WORD_SIZE];
	const uint8_t *at = body;
	struct frame frame = { .version = 1,
			       .kind = (uint8_t)kind,
			       .id = request->frame.id };
	struct frame_segment segment = { 0 };
	size_t header = message_encode(message, head + FRAME_PREAMBLE_SIZE, 4096);

	must(header, "header");
	frame.header_len = (uint32_t)header;
	if (body) {
		segment.mark = len > FRAME_SEGMENT_MAX ? FRAME_MORE : FRAME_LAST;
		segment.len = len > FRAME_SEGMENT_MAX ? FRAME_SEGMENT_MAX : (uint32_t)len;
	}
	frame.first = segment;
	frame_write(head, &frame);
	fake_send(request, head, FRAME_PREAMBLE_SIZE + header);
	while (body) {
		fake_send(request, at, segment.len);
		at += segment.len;
		len -= segment.len;
		if (segment.mark != FRAME_MORE)
			return;
		segment.mark = len > FRAME_SEGMENT_MAX ? FRAME_MORE : FRAME_LAST;
		segment.len = len > FRAME_SEGMENT_MAX ? FRAME_SEGMENT_MAX : (uint32_t)len;
		frame_write_segment(word, &segment);
		fake_send(request, word, sizeof(word));
	}
}

void
fake_error(const struct fake_request *request, int error)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, ERROR, error, (uint64_t)error);
	MESSAGE_SET(&message, TEXT, text, slice_text(error_text(error)));
	fake_reply(request, FRAME_ERROR, &message, NULL, 0);
}

void
fake_unsupported(const struct fake_request *request, unsigned field)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, ERROR, error, ERROR_UNSUPPORTED);
	if (field)
		MESSAGE_SET(&message, DETAIL, detail, field);
	fake_reply(request, FRAME_ERROR, &message, NULL, 0);
}

void
fake_goaway(const struct fake_request *request, uint32_t last_id)
{
	struct fake_request nobody = { .conn = request->conn };
	struct message message = { 0 };

	MESSAGE_SET(&message, LAST_ID, last_id, last_id);
	fake_reply(&nobody, FRAME_GOAWAY, &message, NULL, 0);
}

static void
hello(const struct fake_request *request)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, PROTOCOL, protocol, 1);
	MESSAGE_SET(&message, FEATURES, features, 0);
	MESSAGE_SET(&message, RELEASE, release, 0x000100);
	MESSAGE_SET(&message, UID, uid, geteuid());
	MESSAGE_SET(&message, MAX_VALUE, max_value, 1u << 30);
	MESSAGE_SET(&message, EPOCH, epoch, 42);
	fake_reply(request, FRAME_REPLY, &message, NULL, 0);
}

static struct fake_object *
find(struct fake *fake, struct slice key)
{
	for (size_t i = 0; i < FAKE_OBJECTS; i++) {
		struct fake_object *object = &fake->objects[i];

		if (slice_equal(slice(object->key, object->key_len), key))
			return object;
	}
	return NULL;
}

static void
status(const struct fake_request *request, uint64_t value)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, STATUS, status, value);
	fake_reply(request, FRAME_REPLY, &message, NULL, 0);
}

static void
forget(struct fake_object *object)
{
	free(object->value);
	*object = (struct fake_object){ 0 };
}

static void
get(struct fake *fake, const struct fake_request *request)
{
	struct fake_object *object = find(fake, request->message.key);
	struct message message = { 0 };

	if (!object || object->version == request->message.not_version) {
		status(request, STATUS_MISS);
		return;
	}
	MESSAGE_SET(&message, VERSION, version, object->version);
	MESSAGE_SET(&message, CODEC, codec, object->codec);
	MESSAGE_SET(&message, OBJECT_KIND, object_kind, object->kind);
	MESSAGE_SET(&message, LENGTH, length, object->len);
	MESSAGE_SET(&message, AGE, age_ms, 7);
	MESSAGE_SET(&message, WRITER, writer_uid, geteuid());
	fake_reply(request, FRAME_REPLY, &message,
		   request->frame.kind == COMMAND_GET ? object->value : NULL,
		   object->len);
}

static void
put(struct fake *fake, const struct fake_request *request)
{
	struct fake_object *object = find(fake, request->message.key);
	struct message message = { 0 };

	if (request->aborted) {
		fake_error(request, ERROR_ABORTED);
		return;
	}
	if (request->message.condition == CONDITION_ABSENT && object) {
		fake_error(request, ERROR_EXISTS);
		return;
	}
	if (request->message.condition == CONDITION_VERSION &&
	    (!object || object->version != request->message.version)) {
		fake_error(request, object ? ERROR_CHANGED : ERROR_ABSENT);
		return;
	}
	if (!object)
		object = find(fake, slice(NULL, 0));
	must(object != NULL, "no room for another object");
	forget(object);
	memcpy(object->key, request->message.key.data, request->message.key.len);
	object->key_len = request->message.key.len;
	object->value = malloc(request->body_len + 1);
	memcpy(object->value, request->body, request->body_len);
	object->len = request->body_len;
	object->version = ++fake->versions;
	object->codec = request->message.codec;
	object->kind = request->message.object_kind;
	MESSAGE_SET(&message, VERSION, version, object->version);
	fake_reply(request, FRAME_REPLY, &message, NULL, 0);
}

/* Two entries a page; the cursor is the index of the next object. */
static void
scan(struct fake *fake, const struct fake_request *request)
{
	uint8_t page[4096], *at = page;
	struct message message = { 0 };
	uint8_t index = 0;
	unsigned count = 0;

	if (request->message.cursor.len)
		index = *(const uint8_t *)request->message.cursor.data;
	for (; index < FAKE_OBJECTS && count < 2; index++) {
		const struct fake_object *object = &fake->objects[index];

		if (object->key_len == 0)
			continue;
		le16_store(at, (uint16_t)(40 + object->key_len +
					  3)); /* a later release's three */
		le16_store(at + 2, (uint16_t)object->key_len);
		le32_store(at + 4, object->kind ? 2 : 0);
		le32_store(at + 8, (uint32_t)object->codec);
		le32_store(at + 12, (uint32_t)geteuid());
		le64_store(at + 16, object->len);
		le64_store(at + 24, object->version);
		le64_store(at + 32, UINT64_MAX);
		memcpy(at + 40, object->key, object->key_len);
		at += 40 + object->key_len + 3;
		count++;
	}
	MESSAGE_SET(&message, COUNT, count, count);
	if (index < FAKE_OBJECTS)
		MESSAGE_SET(&message, CURSOR, cursor, slice(&index, 1));
	fake_reply(request, FRAME_REPLY, &message, count ? page : NULL,
		   (size_t)(at - page));
}

void
fake_answer(struct fake *fake, const struct fake_request *request)
{
	static const char stats[] = "\tconnections\t3\nodd line\nweb\tobjects\t12\n";
	struct fake_object *object;
	struct message message = { 0 };

	switch (request->frame.kind) {
	case COMMAND_HELLO:
		hello(request);
		break;
	case COMMAND_GET:
	case COMMAND_META:
		get(fake, request);
		break;
	case COMMAND_PUT:
		put(fake, request);
		break;
	case COMMAND_DELETE:
		object = find(fake, request->message.key);
		if (object)
			forget(object);
		status(request, object ? STATUS_DONE : STATUS_MISS);
		break;
	case COMMAND_TOUCH:
		status(request,
		       find(fake, request->message.key) ? STATUS_DONE : STATUS_MISS);
		break;
	case COMMAND_SCAN:
		scan(fake, request);
		break;
	case COMMAND_FLUSH:
		for (size_t i = 0; i < FAKE_OBJECTS; i++)
			forget(&fake->objects[i]);
		status(request, STATUS_DONE);
		break;
	case COMMAND_BATCH:
		fake_unsupported(request, 0);
		break;
	case COMMAND_STATS:
		fake_reply(request, FRAME_REPLY, &message, stats, sizeof(stats) - 1);
		break;
	default:
		fake_reply(request, FRAME_REPLY, &message, NULL, 0);
	}
}

static void
close_conn(struct fake_conn *conn)
{
	close(conn->fd);
	free(conn->bytes);
	*conn = (struct fake_conn){ .fd = -1 };
}

/* Finds the end of the frame that begins the bytes and joins its segments. Returns its length, 0: more is needed. */
static size_t
gather(struct fake_conn *conn, struct fake_request *request, uint8_t *body)
{
	struct frame_segment segment;
	size_t at;

	if (conn->len < FRAME_PREAMBLE_SIZE)
		return 0;
	must(frame_read(conn->bytes, &request->frame) == 0, "preamble");
	at = FRAME_PREAMBLE_SIZE + request->frame.header_len;
	segment = request->frame.first;
	for (;;) {
		if (conn->len < at + segment.len)
			return 0;
		memcpy(body + request->body_len, conn->bytes + at, segment.len);
		request->body_len += segment.len;
		at += segment.len;
		request->aborted = segment.mark == FRAME_ABORT;
		if (segment.mark != FRAME_MORE)
			return at;
		if (conn->len < at + FRAME_WORD_SIZE)
			return 0;
		must(frame_read_segment(conn->bytes + at, &segment) == 0, "segment");
		at += FRAME_WORD_SIZE;
	}
}

static enum fake_does
decide(struct fake *fake, const struct fake_request *request)
{
	bool is_hello = request->frame.kind == COMMAND_HELLO;

	if (!is_hello)
		atomic_fetch_add(&fake->requests, 1);
	if (fake->hook && (!is_hello || fake->hook_hello))
		return fake->hook(fake, request);
	return FAKE_ANSWERS;
}

/* Takes one frame. Returns false when there is none, or the connection was closed. */
static bool
take_frame(struct fake *fake, struct fake_conn *conn)
{
	uint8_t *body = malloc(conn->len + 1);
	struct fake_request request = { .conn = conn, .body = body };
	size_t size = gather(conn, &request, body);
	enum fake_does does = FAKE_DOES_NOT;
	unsigned unknown;

	if (size) {
		must(message_decode(slice(conn->bytes + FRAME_PREAMBLE_SIZE,
					  request.frame.header_len),
				    &request.message, &unknown) == MESSAGE_OK,
		     "header");
		does = decide(fake, &request);
		if (does == FAKE_ANSWERS)
			fake_answer(fake, &request);
		if (does == FAKE_CLOSES) {
			close_conn(conn);
		} else {
			memmove(conn->bytes, conn->bytes + size, conn->len - size);
			conn->len -= size;
		}
	}
	free(body);
	return size != 0 && does != FAKE_CLOSES;
}

static void
read_conn(struct fake *fake, struct fake_conn *conn)
{
	ssize_t bytes;

	if (conn->size - conn->len < 65536) {
		conn->size += 1 << 20;
		conn->bytes = realloc(conn->bytes, conn->size);
		must(conn->bytes != NULL, "memory");
	}
	bytes = recv(conn->fd, conn->bytes + conn->len, conn->size - conn->len,
		     MSG_DONTWAIT);
	if (bytes < 0 && errno == EAGAIN)
		return;
	if (bytes <= 0) {
		close_conn(conn);
		return;
	}
	conn->len += (size_t)bytes;
	while (take_frame(fake, conn))
		;
}

static void
accept_conn(struct fake *fake)
{
	int fd = accept(fake->listener, NULL, NULL);

	must(fd >= 0, "accept");
	atomic_fetch_add(&fake->connections, 1);
	for (size_t i = 0; i < FAKE_CONNS; i++) {
		if (fake->conns[i].fd < 0) {
			fake->conns[i] = (struct fake_conn){ .fd = fd };
			return;
		}
	}
	must(false, "too many connections");
}

static void *
run(void *arg)
{
	struct fake *fake = arg;
	struct pollfd pollers[FAKE_CONNS + 2];

	for (;;) {
		for (size_t i = 0; i < FAKE_CONNS; i++)
			pollers[i] = (struct pollfd){ fake->conns[i].fd, POLLIN, 0 };
		pollers[FAKE_CONNS] = (struct pollfd){ fake->listener, POLLIN, 0 };
		pollers[FAKE_CONNS + 1] = (struct pollfd){ fake->stop[0], POLLIN, 0 };
		if (poll(pollers, FAKE_CONNS + 2, -1) < 0)
			continue;
		if (pollers[FAKE_CONNS + 1].revents)
			return NULL;
		for (size_t i = 0; i < FAKE_CONNS; i++)
			if (pollers[i].revents)
				read_conn(fake, &fake->conns[i]);
		if (pollers[FAKE_CONNS].revents)
			accept_conn(fake);
	}
}

void
fake_start(struct fake *fake, const char *folder, fake_hook *hook)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(fake, 0, sizeof(*fake));
	fake->hook = hook;
	if (!folder) {
		strcpy(fake->folder, "/tmp/brine-fake-XXXXXX");
		must(mkdtemp(fake->folder) != NULL, "folder");
		folder = fake->folder;
	}
	must(snprintf(fake->path, sizeof(fake->path), "%s/brine.sock", folder) <
		     (int)sizeof(address.sun_path),
	     "path");
	memcpy(address.sun_path, fake->path, strlen(fake->path));
	for (size_t i = 0; i < FAKE_CONNS; i++)
		fake->conns[i].fd = -1;
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)) == 0,
	     "bind");
	must(listen(fake->listener, 64) == 0, "listen");
	must(pipe(fake->stop) == 0, "pipe");
	must(pthread_create(&fake->thread, NULL, run, fake) == 0, "thread");
}

void
fake_stop(struct fake *fake)
{
	must(write(fake->stop[1], "", 1) == 1, "stop");
	pthread_join(fake->thread, NULL);
	for (size_t i = 0; i < FAKE_CONNS; i++)
		if (fake->conns[i].fd >= 0)
			close_conn(&fake->conns[i]);
	for (size_t i = 0; i < FAKE_OBJECTS; i++)
		forget(&fake->objects[i]);
	close(fake->listener);
	close(fake->stop[0]);
	close(fake->stop[1]);
	unlink(fake->path);
	if (fake->folder[0])
		rmdir(fake->folder);
}
