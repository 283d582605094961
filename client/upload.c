/* upload.c - values that go up in pieces. An upload borrows its handle and keeps it to itself.
 * One thread at a time. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/calls.h"
#include "client/link.h"

#define SOURCE_BUFFER FRAME_SEGMENT_MAX
/* A slow source must not look like a dead client: an empty segment goes out this often. */
#define SOURCE_PATIENCE_MS 5000

struct brine_upload {
	struct brine *brine;
	uint64_t length; /* announced, or BRINE_UNKNOWN */
	uint64_t written;
	int error; /* nothing more can be written */
	bool disabled;
	bool leased; /* it is published under this token */
	unsigned char token[BRINE_TOKEN_SIZE];
};

static int
begin_upload(struct brine *brine, const struct brine_request *request)
{
	struct brine_request ping = { .command = BRINE_PING };
	struct brine_reply reply;
	int error;

	/* The value cannot be sent twice: a new connection shows first that its daemon does not leave. */
	link_check(brine);
	error = brine->fd < 0 ? call_request(brine, &ping, false, &reply) : 0;
	if (!error)
		error = link_ready(brine);
	if (error)
		return error;
	return call_result(brine,
			   wire_upload_begin(brine->wire, request, 0, handle_now_ms()));
}

int
brine_put_begin(struct brine *brine, const void *key, size_t key_len, uint64_t length,
		const struct brine_put_options *options, struct brine_upload **ret_upload)
{
	struct brine_request request = request_of_put(key, key_len, options);
	struct brine_upload *upload;
	int error = 0;

	request.value_len = length;
	if (!request.namespace_name)
		request.namespace_name = brine->namespace_name;
	upload = calloc(1, sizeof(*upload));
	if (!upload)
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for an upload");
	upload->brine = brine;
	upload->length = length;
	upload->disabled = brine->env.disabled;
	upload->leased = request.token != NULL;
	if (upload->leased)
		memcpy(upload->token, request.token, sizeof(upload->token));
	if (!upload->disabled)
		error = begin_upload(brine, &request);
	if (error) {
		free(upload);
		return error;
	}
	if (!upload->disabled)
		brine->stream = upload;
	*ret_upload = upload;
	return 0;
}

/* The value was stored, or cannot be any more. As with a put, one that was just refused leaves the lease. */
static void
end_lease(struct brine_upload *upload, int result)
{
	bool over = result >= 0 || result == -BRINE_ERROR_OLD_TOKEN ||
		    (brine_error_class(result) == BRINE_OUTAGE && upload->brine->fd < 0);

	if (upload->leased && over)
		held_forget(&upload->brine->held, upload->token);
}

/* The upload is over before its end: by an early answer, or because the connection is lost. */
static int
stop_upload(struct brine_upload *upload, int error)
{
	struct brine *brine = upload->brine;

	upload->error = call_result(brine, error < 0 ? error : -BRINE_ERROR_BAD_PEER);
	if (error == -BRINE_ERROR_CUT_OFF)
		handle_fail(
			brine, -upload->error,
			"the connection to %s broke in the middle of a value; nothing was stored",
			brine->place.path);
	/* The rest of the frame would have to follow on this connection: a new one is cheaper. */
	if (brine->wire->error || brine->wire->cut)
		link_settle(brine);
	link_close(brine);
	end_lease(upload, upload->error);
	return call_size(brine, upload->error, upload->length);
}

/* Is the upload still the one that its handle serves, and in the process that began it? */
static int
check_upload(struct brine_upload *upload)
{
	if (upload->error)
		return upload->error;
	handle_look(upload->brine);
	if (upload->brine->stream == upload)
		return 0;
	upload->error = handle_fail(
		upload->brine, BRINE_ERROR_CUT_OFF,
		"the upload was begun by another process or under another uid");
	return upload->error;
}

static int
send_segment(struct brine_upload *upload, enum frame_mark mark, const void *bytes,
	     size_t len)
{
	struct brine *brine = upload->brine;
	struct brine_reply reply;
	int result = wire_upload_segment(brine->wire, mark, bytes, len);

	if (!result)
		result = link_send(brine, &reply);
	if (result == 1) /* refused early */
		return stop_upload(upload, reply.result);
	return result ? stop_upload(upload, result) : 0;
}

int
brine_put_write(struct brine_upload *upload, const void *bytes, size_t len)
{
	const char *from = bytes;
	int error;

	if (upload->disabled)
		return 0;
	error = check_upload(upload);
	if (!error && len > upload->length - upload->written &&
	    upload->length != BRINE_UNKNOWN)
		return handle_fail(
			upload->brine, BRINE_ERROR_BAD_ARGUMENT,
			"more bytes were written than the %llu that were announced",
			(unsigned long long)upload->length);
	if (error)
		return error;
	do {
		size_t some = len < FRAME_SEGMENT_MAX ? len : FRAME_SEGMENT_MAX;

		error = send_segment(upload, FRAME_MORE, from, some);
		upload->written += some;
		from += some;
		len -= some;
	} while (!error && len);
	return error;
}

static int
finish(struct brine_upload *upload, uint64_t *ret_version)
{
	struct brine *brine = upload->brine;
	struct brine_reply reply;
	int error = check_upload(upload);

	if (error)
		return error;
	error = send_segment(upload, FRAME_LAST, NULL, 0);
	if (error)
		return error;
	if (link_next(brine, &reply) != 1)
		return stop_upload(upload, -BRINE_ERROR_BAD_PEER);
	if (call_result(brine, reply.result) == BRINE_DONE && ret_version)
		*ret_version = reply.meta.version;
	link_settle(brine);
	end_lease(upload, reply.result);
	return call_size(brine, reply.result, upload->length);
}

static void
free_upload(struct brine_upload **upload)
{
	if ((*upload)->brine->stream == *upload)
		(*upload)->brine->stream = NULL;
	free(*upload);
	*upload = NULL;
}

int
brine_put_finish(struct brine_upload **upload, uint64_t *ret_version)
{
	struct brine *brine = (*upload)->brine;
	uint64_t length = (*upload)->length, written = (*upload)->written;
	int result = BRINE_DONE;

	if ((*upload)->disabled) {
		free_upload(upload);
		return result;
	}
	if (!(*upload)->error && length != BRINE_UNKNOWN && written != length) {
		brine_put_abort(upload);
		return handle_fail(
			brine, BRINE_ERROR_BAD_ARGUMENT,
			"%llu bytes were announced and %llu written; nothing was stored",
			(unsigned long long)length, (unsigned long long)written);
	}
	result = finish(*upload, ret_version);
	free_upload(upload);
	return result;
}

void
brine_put_abort(struct brine_upload **upload)
{
	struct brine *brine;
	struct brine_reply reply;

	if (!upload || !*upload)
		return;
	brine = (*upload)->brine;
	/* The daemon answers an aborted body with an error: that answer belongs to nobody else. */
	if (!(*upload)->disabled && !check_upload(*upload) &&
	    !send_segment(*upload, FRAME_ABORT, NULL, 0)) {
		link_next(brine, &reply);
		link_settle(brine);
	}
	free_upload(upload);
}

/* ---- up from a descriptor */

/* Waits until the source has something, or an error to tell, but no longer than until the time is over or a
 * signal came. Returns 1, 0 when it should be asked again, or an error. */
static int
await_source(struct brine *brine, int fd, int timeout_ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	int ready = poll(&poller, 1, timeout_ms);

	if (ready >= 0)
		return ready;
	if (errno != EINTR)
		return 1; /* it shows in read(), too */
	if (handle_interrupted(brine))
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "reading the value was broken off");
	return 0;
}

/* One read. Returns the bytes (0: none yet, or the end), or an error. */
static int64_t
read_some(struct brine *brine, int fd, char *to, size_t size, bool *ret_ended)
{
	ssize_t bytes = read(fd, to, size);

	*ret_ended = bytes == 0;
	if (bytes >= 0)
		return bytes;
	if (errno == EAGAIN || (errno == EINTR && !handle_interrupted(brine)))
		return 0;
	if (errno == EINTR)
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "reading the value was broken off");
	return handle_fail(brine, BRINE_ERROR_SOURCE_FAILED,
			   "reading the value failed: %s; nothing was stored",
			   strerror(errno));
}

/* Reads on until the buffer is full or the source ends. Returns the bytes, or an error. */
static int64_t
read_source(struct brine *brine, int fd, char *to, size_t size)
{
	size_t have = 0;
	bool ended = false;
	int64_t bytes;
	int ready;

	while (have < size && !ended) {
		bytes = read_some(brine, fd, to + have, size - have, &ended);
		if (bytes < 0)
			return bytes;
		have += (size_t)bytes;
		ready = bytes || ended ? 1 : await_source(brine, fd, -1);
		if (ready < 0)
			return ready;
	}
	return (int64_t)have;
}

/* Waits for the source; keeps the daemon's patience meanwhile. */
static int
await_patiently(struct brine_upload *upload, int fd)
{
	int ready, error = check_upload(upload);

	while (!error) {
		ready = await_source(upload->brine, fd, SOURCE_PATIENCE_MS);
		if (ready)
			return ready < 0 ? ready : 0;
		error = send_segment(upload, FRAME_MORE, NULL, 0);
	}
	return error;
}

static int
copy_source(struct brine_upload *upload, int fd, char *buffer)
{
	bool ended = false;
	int64_t bytes;
	int error = 0;

	while (!error && !ended) {
		error = await_patiently(upload, fd);
		if (error)
			return error;
		/* One read, not a full buffer: what is there goes on at once. */
		bytes = read_some(upload->brine, fd, buffer, SOURCE_BUFFER, &ended);
		if (bytes < 0)
			return (int)bytes;
		if (bytes > 0)
			error = brine_put_write(upload, buffer, (size_t)bytes);
	}
	return error;
}

/* How much a regular file will give from here on, read being what it gave already. */
static uint64_t
source_length(int fd, uint64_t read)
{
	struct stat st;
	off_t at;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return BRINE_UNKNOWN;
	at = lseek(fd, 0, SEEK_CUR);
	return at < 0 || at > st.st_size ? BRINE_UNKNOWN
					 : read + (uint64_t)(st.st_size - at);
}

static int
put_large(struct brine *brine, const void *key, size_t key_len, int fd, char *buffer,
	  const struct brine_put_options *options, uint64_t *ret_version)
{
	struct brine_upload *upload;
	char sentence[HANDLE_MESSAGE_MAX];
	int error = brine_put_begin(brine, key, key_len, source_length(fd, SOURCE_BUFFER),
				    options, &upload);

	if (error)
		return error;
	error = brine_put_write(upload, buffer, SOURCE_BUFFER);
	if (!error)
		error = copy_source(upload, fd, buffer);
	if (!error)
		return brine_put_finish(&upload, ret_version);
	memcpy(sentence, brine->message, sizeof(sentence));
	brine_put_abort(&upload);
	memcpy(brine->message, sentence, sizeof(sentence));
	return error;
}

int
brine_put_fd(struct brine *brine, const void *key, size_t key_len, int fd,
	     const struct brine_put_options *options, uint64_t *ret_version)
{
	char *buffer;
	int64_t bytes;
	int result;

	if (brine->env.disabled)
		return BRINE_DONE;
	buffer = malloc(SOURCE_BUFFER);
	if (!buffer)
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a buffer");
	bytes = read_source(brine, fd, buffer, SOURCE_BUFFER);
	if (bytes < 0)
		result = (int)bytes;
	else if ((size_t)bytes < SOURCE_BUFFER)
		result = brine_put(brine, key, key_len, buffer, (size_t)bytes, options,
				   ret_version);
	else
		result = put_large(brine, key, key_len, fd, buffer, options, ret_version);
	free(buffer);
	return result;
}
