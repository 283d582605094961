/* reply.c - answers to frames. Owns nothing; what it takes goes to the outbox. Loop thread only. */
#include "daemon/reply.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "proto/batch.h"

/* Lines about refused requests in a minute. */
#define SAID_MAX 20

/* A version, or a status. */
#define BUNDLE_HEADER_MAX 32

/* Whose program does what it may not is for the administrator to know, too. */
static void
say_refused(struct session *session, enum error error, struct slice sentence)
{
	const struct log_field fields[] = { { "BRINE_UID", NULL, session->uid },
					    { "BRINE_ERROR", error_name((int)error), 0 },
					    { NULL, NULL, 0 } };
	unsigned withheld;
	bool may = ration_take(&session->all->refusals, clock_mono_ns(), SAID_MAX,
			       &withheld);

	if (withheld)
		log_info("%u more requests were refused", withheld);
	if (may)
		log_with(LOG_INFO, fields, "refused a request of uid %u: %.*s",
			 (unsigned)session->uid, (int)sentence.len,
			 (const char *)sentence.data);
}

static void
send_error(struct session *session, uint32_t id, struct message header, enum error error,
	   uint64_t detail, const char *text)
{
	struct slice sentence = slice_text(text ? text : error_text((int)error));

	session->all->counters.errors[error]++;
	/* A client that gets UNSUPPORTED does without. */
	if (error_class((int)error) == CLASS_REFUSAL && error != ERROR_UNSUPPORTED)
		say_refused(session, error, sentence);
	if (sentence.len > MESSAGE_TEXT_MAX)
		sentence.len = MESSAGE_TEXT_MAX;
	MESSAGE_SET(&header, ERROR, error, error);
	MESSAGE_SET(&header, TEXT, text, sentence);
	if (detail)
		MESSAGE_SET(&header, DETAIL, detail, detail);
	outbox_frame(&session->outbox, FRAME_ERROR, id, &header);
}

void
reply_error(struct session *session, uint32_t id, enum error error, uint64_t detail,
	    const char *text)
{
	send_error(session, id, (struct message){ 0 }, error, detail, text);
}

void
reply_entry_error(struct session *session, uint32_t id, enum error error, uint64_t detail,
		  const char *text, uint32_t entry)
{
	struct message header = { 0 };

	MESSAGE_SET(&header, ENTRY, entry, entry);
	send_error(session, id, header, error, detail, text);
}

static void
drop(const struct answer *answer)
{
	struct download *download = answer->download;
	struct bundle *bundle = answer->bundle;

	free(answer->owner);
	download_close(&download);
	bundle_free(&bundle);
}

static void
put_lease(struct message *header, const struct answer *answer)
{
	if (answer->lease)
		MESSAGE_SET(header, LEASE, lease, answer->lease);
	if (answer->lease == LEASE_REPLY_GRANTED)
		MESSAGE_SET(header, TOKEN, token, slice(answer->token, CACHE_TOKEN_SIZE));
}

void
reply_meta(struct message *header, const struct answer *answer)
{
	MESSAGE_SET(header, VERSION, version, answer->version);
	MESSAGE_SET(header, LENGTH, length, answer->length);
	MESSAGE_SET(header, WRITER, writer_uid, answer->writer_uid);
	if (answer->codec)
		MESSAGE_SET(header, CODEC, codec, answer->codec);
	if (answer->object_kind)
		MESSAGE_SET(header, OBJECT_KIND, object_kind, answer->object_kind);
	if (answer->age_ms)
		MESSAGE_SET(header, AGE, age_ms, answer->age_ms);
	if (answer->ttl_left_ms != TTL_NEVER)
		MESSAGE_SET(header, TTL_LEFT, ttl_left_ms, answer->ttl_left_ms);
	if (answer->cost_us)
		MESSAGE_SET(header, COST, cost_us, answer->cost_us);
	if (answer->stale_for_ms)
		MESSAGE_SET(header, STALE_FOR, stale_for_ms, answer->stale_for_ms);
	if (answer->stale)
		MESSAGE_SET(header, STALE, stale_ms, answer->stale_ms);
	put_lease(header, answer);
}

/* The cache's lines, as many whole ones as fit a segment beside the daemon's own, which tell of all clients and so are
 * an administrator's. */
static void
reply_stats(struct session *session, uint32_t id, const struct answer *answer)
{
	const struct message header = { 0 };
	char own[COUNTERS_TEXT_MAX];
	size_t own_len = session_admin(session) ? counters_write(&session->all->counters,
								 clock_mono_ns(), own)
						: 0;
	const char *lines = answer->value.data;
	size_t len = answer->value.len;
	char *all;

	if (len + own_len > FRAME_SEGMENT_MAX) {
		const char *end = memrchr(lines, '\n', FRAME_SEGMENT_MAX - own_len);

		len = end ? (size_t)(end - lines) + 1 : 0;
	}
	all = malloc(own_len + len);
	if (!all) {
		drop(answer);
		reply_error(session, id, ERROR_NO_MEMORY, 0, NULL);
		return;
	}
	memcpy(all, own, own_len);
	if (len)
		memcpy(all + own_len, lines, len);
	drop(answer);
	outbox_value(&session->outbox, id, &header, slice(all, own_len + len), all, NULL);
}

void
reply_body(struct session *session, uint32_t id, size_t count, uint8_t *body, size_t len)
{
	struct message header = { 0 };

	MESSAGE_SET(&header, COUNT, count, count);
	user_served(session->user, (unsigned)(len / USER_REPLY_BYTES));
	outbox_body(&session->outbox, id, &header, body, len);
}

/* What became of the puts and deletes of a batch. */
static void
reply_bundle(struct session *session, uint32_t id, const struct answer *answer)
{
	struct bundle *bundle = answer->bundle;
	uint8_t *body = malloc(bundle->count * (BATCH_HEAD + BUNDLE_HEADER_MAX));
	size_t len = 0;

	for (size_t i = 0; body && i < bundle->count; i++) {
		const struct bundle_item *item = &bundle->items[i];
		struct message header = { 0 };
		size_t header_len;

		if (item->remove)
			MESSAGE_SET(&header, STATUS, status,
				    item->there ? STATUS_DONE : STATUS_MISS);
		else
			MESSAGE_SET(&header, VERSION, version, item->version);
		header_len = message_encode(&header, body + len + BATCH_HEAD,
					    BUNDLE_HEADER_MAX);
		batch_write_head(body + len, FRAME_REPLY, header_len, 0);
		len += BATCH_HEAD + header_len;
	}
	if (body)
		reply_body(session, id, bundle->count, body, len);
	else
		reply_error(session, id, ERROR_NO_MEMORY, 0, NULL);
	bundle_free(&bundle);
}

static void
reply_done(struct session *session, uint32_t id, enum reply_form form,
	   const struct answer *answer)
{
	struct message header = { 0 };
	struct outbox *outbox = &session->outbox;

	if (form == REPLY_FOUND && answer->has_meta)
		form = REPLY_VALUE;
	switch (form) {
	case REPLY_FOUND:
		MESSAGE_SET(&header, STATUS, status, STATUS_MISS);
		MESSAGE_SET(&header, VERSION, version, answer->version);
		break;
	case REPLY_VALUE:
		reply_meta(&header, answer);
		if (answer->download)
			outbox_stream(outbox, id, &header, answer->download);
		else
			outbox_value(outbox, id, &header, answer->value, answer->owner,
				     answer->keeper);
		return;
	case REPLY_PAGE:
		MESSAGE_SET(&header, COUNT, count, answer->count);
		if (answer->damaged)
			MESSAGE_SET(&header, DAMAGED, damaged, answer->damaged);
		if (answer->cursor.len)
			MESSAGE_SET(&header, CURSOR, cursor, answer->cursor);
		if (!answer->count)
			break;
		outbox_value(outbox, id, &header, answer->value, answer->owner, NULL);
		return;
	case REPLY_LINES:
		if (answer->cursor.len)
			MESSAGE_SET(&header, CURSOR, cursor, answer->cursor);
		outbox_value(outbox, id, &header, answer->value, answer->owner, NULL);
		return;
	case REPLY_STATS:
		reply_stats(session, id, answer);
		return;
	case REPLY_BUNDLE:
		reply_bundle(session, id, answer);
		return;
	case REPLY_META:
		reply_meta(&header, answer);
		break;
	case REPLY_TOUCHED:
		MESSAGE_SET(&header, STATUS, status, STATUS_DONE);
		MESSAGE_SET(&header, VERSION, version, answer->version);
		break;
	case REPLY_COUNTER:
		MESSAGE_SET(&header, VERSION, version, answer->version);
		MESSAGE_SET(&header, COUNTER, counter, (uint64_t)answer->counter);
		break;
	case REPLY_VERSION:
		MESSAGE_SET(&header, VERSION, version, answer->version);
		break;
	case REPLY_STATUS:
		MESSAGE_SET(&header, STATUS, status, STATUS_DONE);
		break;
	case REPLY_EMPTY:
		break;
	}
	drop(answer);
	outbox_frame(outbox, FRAME_REPLY, id, &header);
}

void
reply_answer(struct session *session, uint32_t id, enum reply_form form,
	     const struct answer *answer)
{
	struct message header = { 0 };

	if (session_gone(session)) {
		drop(answer);
		return;
	}
	switch (answer->kind) {
	case ANSWER_DONE:
		user_served(session->user,
			    (unsigned)(answer->value.len / USER_REPLY_BYTES));
		reply_done(session, id, form, answer);
		return;
	case ANSWER_MISS:
		MESSAGE_SET(&header, STATUS, status, STATUS_MISS);
		put_lease(&header, answer);
		outbox_frame(&session->outbox, FRAME_REPLY, id, &header);
		break;
	case ANSWER_ERROR:
		if (answer->entry)
			reply_entry_error(session, id, answer->error, answer->detail,
					  answer->text, answer->entry - 1);
		else
			reply_error(session, id, answer->error, answer->detail,
				    answer->text);
		break;
	}
	drop(answer);
}

/* How much an answer of this form may bring, in values. */
static unsigned
weight(enum reply_form form)
{
	if (form == REPLY_PAGE)
		return SESSION_PAGE_WEIGHT;
	return form == REPLY_VALUE || form == REPLY_FOUND || form == REPLY_STATS ||
	       form == REPLY_LINES;
}

static void
answered(struct session *session, uint32_t id, enum reply_form form,
	 const struct answer *answer)
{
	reply_answer(session, id, form, answer);
	session_settle(session, weight(form));
}

#define X(name)                                                                          \
	static void answered_##name(void *arg, uint32_t id, const struct answer *answer) \
	{                                                                                \
		answered(arg, id, REPLY_##name, answer);                                 \
	}
REPLY_FORMS(X)
#undef X

struct later
reply_later(struct session *session, uint32_t id, enum reply_form form)
{
	static void (*const callbacks[])(void *, uint32_t, const struct answer *) = {
#define X(name) [REPLY_##name] = answered_##name,
		REPLY_FORMS(X)
#undef X
	};

	return session_expect(session, id, weight(form), callbacks[form]);
}

void
reply_now(struct session *session, uint32_t id, enum reply_form form,
	  const struct answer *answer)
{
	session_unexpect(session, weight(form));
	reply_answer(session, id, form, answer);
}
