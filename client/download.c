/* download.c - values that come down in pieces. A download borrows its handle and keeps it to itself.
 * One thread at a time. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/calls.h"
#include "client/link.h"

/* Leaving more than this unread costs a new connection, less is read and forgotten. */
#define DRAIN_MAX (256u << 10)
#define SINK_BUFFER (256u << 10)

struct brine_download {
	struct brine *brine;
	struct brine_meta meta;
	bool ended;
	int error;
};

int
brine_get_begin(struct brine *brine, const void *key, size_t key_len,
		const struct brine_get_options *options,
		struct brine_download **ret_download)
{
	struct brine_request request = request_of_get(key, key_len, options);
	struct brine_download *download;
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return BRINE_MISS;
	download = calloc(1, sizeof(*download));
	if (!download)
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a download");
	result = call_request(brine, &request, true, &reply);
	if (result != BRINE_HIT) {
		free(download);
		return result;
	}
	download->brine = brine;
	download->meta = reply.meta;
	brine->stream = download;
	*ret_download = download;
	return BRINE_HIT;
}

const struct brine_meta *
brine_download_meta(const struct brine_download *download)
{
	return &download->meta;
}

static int
fail_download(struct brine_download *download, int error)
{
	struct brine *brine = download->brine;

	download->error = call_result(brine, error);
	if (error == -BRINE_ERROR_CUT_OFF)
		handle_fail(brine, BRINE_ERROR_CUT_OFF,
			    "the connection to %s broke in the middle of a value",
			    brine->place.path);
	link_settle(brine);
	return error;
}

static int
check_download(struct brine_download *download)
{
	if (download->error)
		return download->error;
	handle_look(download->brine);
	if (download->brine->stream == download)
		return 0;
	download->error = handle_fail(
		download->brine, BRINE_ERROR_CUT_OFF,
		"the download was begun by another process or under another uid");
	return download->error;
}

int64_t
brine_get_read(struct brine_download *download, void *to, size_t size)
{
	struct brine *brine = download->brine;
	int result = check_download(download);

	if (result || download->ended)
		return result;
	if (size == 0)
		return handle_fail(brine, BRINE_ERROR_BAD_ARGUMENT,
				   "no room to read into");
	wire_body_into(brine->wire, to, size);
	for (;;) {
		result = wire_body_step(brine->wire);
		if (result < 0)
			return fail_download(download, result);
		if (result == WIRE_BODY_END)
			download->ended = true;
		if (result == WIRE_BODY_END || brine->wire->incoming.room == 0)
			return (int64_t)(size - brine->wire->incoming.room);
		link_move(brine); /* an error shows in the next step */
	}
}

/* Leaves the connection usable when little is left of the value. */
static void
leave_download(struct brine_download *download)
{
	struct brine *brine = download->brine;
	struct incoming *incoming = &brine->wire->incoming;

	if (download->ended || download->error)
		link_settle(brine);
	else if (incoming->known && incoming->length - incoming->taken <= DRAIN_MAX)
		wire_body_discard(brine->wire);
	else
		link_close(brine);
}

void
brine_get_end(struct brine_download **download)
{
	struct brine *brine;

	if (!download || !*download)
		return;
	brine = (*download)->brine;
	handle_look(brine);
	if (brine->stream == *download) {
		if (brine->wire)
			leave_download(*download);
		brine->stream = NULL;
	}
	free(*download);
	*download = NULL;
}

/* ---- down to a descriptor */

/* A write failed. Returns 0 when it may be tried again, or an error. */
static int
excuse_sink(struct brine *brine, int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };

	if (errno == EAGAIN && poll(&poller, 1, -1) >= 0)
		return 0;
	if (errno != EINTR)
		return handle_fail(brine, BRINE_ERROR_SINK_FAILED,
				   "writing the value failed: %s", strerror(errno));
	if (handle_interrupted(brine))
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "writing the value was broken off");
	return 0;
}

static int
write_sink(struct brine *brine, int fd, const char *bytes, size_t len)
{
	ssize_t written;
	int error = 0;

	while (len && !error) {
		written = write(fd, bytes, len);
		if (written < 0) {
			error = excuse_sink(brine, fd);
			continue;
		}
		bytes += written;
		len -= (size_t)written;
	}
	return error;
}

static int
copy_to_sink(struct brine_download *download, int fd)
{
	char *buffer = malloc(SINK_BUFFER);
	int64_t bytes;
	int error = 0;

	if (!buffer)
		return handle_fail(download->brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a buffer");
	while (!error && (bytes = brine_get_read(download, buffer, SINK_BUFFER)) != 0)
		error = bytes < 0
				? (int)bytes
				: write_sink(download->brine, fd, buffer, (size_t)bytes);
	free(buffer);
	return error;
}

int
brine_get_fd(struct brine *brine, const void *key, size_t key_len, int fd,
	     const struct brine_get_options *options, struct brine_meta *ret_meta)
{
	struct brine_download *download;
	struct brine_meta meta;
	int result = brine_get_begin(brine, key, key_len, options, &download);

	if (result != BRINE_HIT)
		return result;
	meta = *brine_download_meta(download);
	result = copy_to_sink(download, fd);
	brine_get_end(&download);
	if (!result && ret_meta)
		*ret_meta = meta;
	return result;
}
