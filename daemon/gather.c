/* gather.c - many answers, one body. Owns the answers until they have all come; outlives its connection like
 * a session does. Loop thread only. */
#include "daemon/gather.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/reply.h"
#include "proto/batch.h"

/* When replies of others fill the memory there is for them, a batch gets a part of what is left, but this
 * at least. */
#define REPLY_LEAST (256u << 10)
#define REPLY_PART 4
#define ROOM_FIRST 4096
/* The longest header of an entry: a text, or numbers. */
#define HEADER_ROOM 2048

struct slot {
	uint8_t *bytes; /* of an answer that came later; owned */
	size_t len;
	size_t at; /* of one that came at once, in `body` */
};

struct gather {
	struct session *session;
	uint32_t id;
	size_t count;
	size_t open;    /* answers to come, and one for who still asks */
	unsigned parts; /* of them, what the session knows of */
	size_t total;   /* bytes of all entries so far */
	size_t limit;
	bool late;   /* some answers are in their slots */
	bool failed; /* no memory: there will be no reply but an error */
	uint8_t *body;
	size_t len, room;
	struct slot slots[];
};

static size_t
reply_limit(const struct session *session)
{
	size_t queued = session->all->pool.bytes;
	size_t left =
		queued < OUTPUT_TOTAL_MAX ? (OUTPUT_TOTAL_MAX - queued) / REPLY_PART : 0;

	if (left < REPLY_LEAST)
		return REPLY_LEAST;
	return left < BATCH_REPLY_MAX ? left : BATCH_REPLY_MAX;
}

struct gather *
gather_new(struct session *session, uint32_t id, size_t count)
{
	struct gather *gather =
		calloc(1, sizeof(*gather) + count * sizeof(gather->slots[0]));

	if (!gather)
		return NULL;
	gather->session = session;
	gather->id = id;
	gather->count = count;
	gather->open = 1;
	gather->limit = reply_limit(session);
	session_expect(session, id, SESSION_PAGE_WEIGHT, NULL);
	return gather;
}

/* ---- entries */

/* Room behind the body, which grows by doubling up to the limit and one entry. */
static uint8_t *
reserve(struct gather *gather, size_t size)
{
	size_t room = gather->room ? gather->room : ROOM_FIRST;
	uint8_t *body;

	while (room < gather->len + size)
		room *= 2;
	if (room > gather->room) {
		body = realloc(gather->body, room);
		if (!body)
			return NULL;
		gather->body = body;
		gather->room = room;
	}
	return gather->body + gather->len;
}

static size_t
write_entry(uint8_t *to, uint8_t kind, const struct message *header, struct slice value)
{
	size_t header_len = message_encode(header, to + BATCH_HEAD, HEADER_ROOM);

	batch_write_head(to, kind, header_len, value.len);
	if (value.len)
		memcpy(to + BATCH_HEAD + header_len, value.data, value.len);
	return BATCH_HEAD + header_len + value.len;
}

/* What an answer is as an entry. Returns the kind; *ret_value borrows the answer. */
static uint8_t
make_entry(const struct gather *gather, const struct answer *answer,
	   struct message *ret_header, struct slice *ret_value)
{
	bool alone = answer->apart || answer->download ||
		     gather->total + answer->value.len + BATCH_HEAD + HEADER_ROOM >
			     gather->limit;

	*ret_header = (struct message){ 0 };
	*ret_value = slice(NULL, 0);
	if (answer->kind == ANSWER_ERROR) {
		MESSAGE_SET(ret_header, ERROR, error, answer->error);
		return FRAME_ERROR;
	}
	if (answer->kind == ANSWER_MISS) {
		MESSAGE_SET(ret_header, STATUS, status, STATUS_MISS);
	} else if (alone) {
		MESSAGE_SET(ret_header, STATUS, status, STATUS_ALONE);
	} else {
		reply_meta(ret_header, answer);
		*ret_value = answer->value;
	}
	return FRAME_REPLY;
}

static void
keep(struct gather *gather, size_t entry, const struct answer *answer, bool late)
{
	struct slot *slot = &gather->slots[entry];
	struct message header;
	struct slice value;
	uint8_t kind = make_entry(gather, answer, &header, &value);
	size_t size = BATCH_HEAD + HEADER_ROOM + value.len;
	uint8_t *to = late ? malloc(size) : reserve(gather, size);

	if (!to) {
		gather->failed = true;
		return;
	}
	slot->len = write_entry(to, kind, &header, value);
	gather->total += slot->len;
	gather->late |= late;
	if (late) {
		slot->bytes = to;
		return;
	}
	slot->at = gather->len;
	gather->len += slot->len;
}

static void
take(struct gather *gather, size_t entry, const struct answer *answer, bool late)
{
	struct download *download = answer->download;

	if (!session_gone(gather->session))
		keep(gather, entry, answer, late);
	free(answer->owner);
	download_close(&download);
}

/* ---- the reply */

/* Puts late answers between the others. */
static bool
assemble(struct gather *gather)
{
	uint8_t *body = malloc(gather->total ? gather->total : 1), *to = body;

	if (!body)
		return false;
	for (size_t i = 0; i < gather->count; i++) {
		const struct slot *slot = &gather->slots[i];

		memcpy(to, slot->bytes ? slot->bytes : gather->body + slot->at,
		       slot->len);
		to += slot->len;
	}
	free(gather->body);
	gather->body = body;
	gather->len = gather->total;
	return true;
}

static void
finish(struct gather *gather)
{
	struct session *session = gather->session;
	uint8_t *body = NULL;

	if (!session_gone(session) &&
	    (gather->failed || (gather->late && !assemble(gather)))) {
		reply_error(session, gather->id, ERROR_NO_MEMORY, 0, NULL);
	} else if (!session_gone(session)) {
		body = gather->body;
		gather->body = NULL;
		reply_body(session, gather->id, gather->count, body, gather->len);
	}
	for (size_t i = 0; i < gather->count; i++)
		free(gather->slots[i].bytes);
	session_settle_parts(session, gather->parts);
	free(gather->body);
	free(gather);
	session_settle(session, SESSION_PAGE_WEIGHT);
}

static void
release(struct gather *gather)
{
	if (--gather->open == 0)
		finish(gather);
}

static void
on_answer(void *arg, uint32_t entry, const struct answer *answer)
{
	struct gather *gather = arg;

	take(gather, entry, answer, true);
	release(gather);
}

static enum right
may(void *arg, struct slice namespace)
{
	const struct gather *gather = arg;

	return session_may(gather->session, namespace);
}

static const struct asker asker = { .may = may };

struct later
gather_later(struct gather *gather, size_t entry)
{
	gather->open++;
	return (struct later){ .answered = on_answer,
			       .arg = gather,
			       .id = (uint32_t)entry,
			       .asker = &asker };
}

void
gather_now(struct gather *gather, size_t entry, const struct answer *answer)
{
	take(gather, entry, answer, false);
	gather->open--;
}

void
gather_end(struct gather **gather)
{
	struct gather *ended = *gather;

	*gather = NULL;
	ended->parts = (unsigned)ended->open - 1;
	session_expect_parts(ended->session, ended->parts);
	release(ended);
}
