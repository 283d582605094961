/* batch.c - collects the body of a BATCH, reads its entries, carries them out.
 * The body belongs to the session while it arrives. Loop thread only. */
#include "daemon/batch.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/gather.h"
#include "daemon/put.h"
#include "proto/batch.h"

#define F(name) (UINT64_C(1) << FIELD_##name)
#define GET_FIELDS (F(KEY) | F(MAX_AGE) | F(NOT_VERSION) | F(STALE_OK) | F(QUIET))
#define PUT_FIELDS                                                                       \
	(F(KEY) | F(TTL) | F(CODEC) | F(OBJECT_KIND) | F(COST) | F(CONDITION) |          \
	 F(VERSION) | F(STALE_FOR) | F(TAGS))
#define DELETE_FIELDS (F(KEY) | F(VERSION))

/* ---- entries */

static uint64_t
fields_of(uint8_t kind)
{
	switch (kind) {
	case COMMAND_GET:
		return GET_FIELDS;
	case COMMAND_PUT:
		return PUT_FIELDS;
	case COMMAND_DELETE:
		return DELETE_FIELDS;
	default:
		return 0;
	}
}

/* How many entries there are, all GET or none; 0 when the body is not that. */
static size_t
count_entries(struct slice body, bool *ret_gets)
{
	struct batch_entry entry;
	size_t position = 0, count = 0, gets = 0;
	int next;

	while ((next = batch_next(body, &position, &entry)) > 0) {
		if (++count > BATCH_ENTRIES_MAX || !fields_of(entry.kind) ||
		    (entry.kind != COMMAND_PUT && entry.value.len))
			return 0;
		gets += entry.kind == COMMAND_GET;
	}
	*ret_gets = gets > 0;
	return next < 0 || (gets && gets != count) ? 0 : count;
}

/* Fills a call with one entry, as if it were a request of its own. False: it was refused. */
static bool
read_entry(struct call *call, const struct batch *batch, const struct batch_entry *entry)
{
	unsigned field = 0;
	int result = message_decode(entry->header, &call->message, &field);

	if (result == MESSAGE_MALFORMED) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "an entry's header is malformed");
		return false;
	}
	if (result == MESSAGE_OK)
		field = message_surplus(&call->message, fields_of(entry->kind));
	if (field) {
		call_refuse(call, ERROR_UNSUPPORTED, field, NULL);
		return false;
	}
	MESSAGE_SET(&call->message, NAMESPACE, namespace,
		    slice(batch->name, batch->name_len));
	call->body = entry->value;
	call->kind = entry->kind;
	return call_check_target(call);
}

/* ---- gets */

static bool
read_get(struct call *call, struct get *ret_get)
{
	const struct message *message = &call->message;

	if (!call_check_choice(call, FIELD_STALE_OK, message->stale_ok, 1) ||
	    !call_check_choice(call, FIELD_QUIET, message->quiet, 1))
		return false;
	*ret_get = (struct get){
		.target = call->target,
		.max_age_ms = message_has(message, FIELD_MAX_AGE) ? message->max_age_ms
								  : TTL_NEVER,
		.not_version = message->not_version,
		.stale_ok = message->stale_ok == 1,
		.quiet = message->quiet == 1,
		.whole_only = true,
	};
	return true;
}

/* Nothing is asked before all entries are known to be right: a refusal is the only reply then. */
static void
run_gets(struct call *call, const struct batch *batch, struct slice body, size_t count)
{
	struct get *gets = malloc(count * sizeof(*gets));
	struct gather *gather = NULL;
	struct batch_entry entry;
	size_t position = 0;
	bool right = gets;

	for (size_t i = 0; right && i < count; i++) {
		batch_next(body, &position, &entry);
		call->entry = (int)i;
		right = read_entry(call, batch, &entry) && read_get(call, &gets[i]);
	}
	call->entry = -1;
	if (right)
		gather = gather_new(call->session, batch->id, count);
	if (!gets || (right && !gather))
		call_refuse(call, ERROR_NO_MEMORY, 0, NULL);
	for (size_t i = 0; gather && i < count; i++) {
		struct later later = gather_later(gather, i);
		struct answer answer = { 0 };

		if (cache_get(call->session->all->cache, &gets[i], &later, &answer) ==
		    CACHE_NOW)
			gather_now(gather, i, &answer);
	}
	if (gather)
		gather_end(&gather);
	free(gets);
}

/* ---- puts and deletes */

static bool
read_item(struct call *call, uint8_t kind, struct bundle_item *ret_item)
{
	if (kind == COMMAND_PUT && !put_read(call, &ret_item->put))
		return false;
	ret_item->remove = kind == COMMAND_DELETE;
	ret_item->put.target = call->target;
	ret_item->value = call->body;
	ret_item->only_version = call->message.version;
	return true;
}

static struct bundle *
read_bundle(struct call *call, struct batch *batch, size_t count)
{
	struct slice body = slice(batch->bytes, batch->len);
	struct bundle *bundle =
		calloc(1, sizeof(*bundle) + count * sizeof(bundle->items[0]));
	struct batch_entry entry;
	size_t position = 0;
	bool deletes = false;

	if (!bundle) {
		call_refuse(call, ERROR_NO_MEMORY, 0, NULL);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		batch_next(body, &position, &entry);
		call->entry = (int)i;
		if (!read_entry(call, batch, &entry) ||
		    !read_item(call, entry.kind, &bundle->items[i])) {
			free(bundle);
			return NULL;
		}
		deletes |= entry.kind == COMMAND_DELETE;
	}
	call->entry = -1;
	bundle->count = count;
	bundle->uid = call->session->uid;
	bundle->payer = call->session->payer;
	bundle->ack = batch->ack;
	if (!bundle->ack)
		bundle->ack = deletes ? ACK_DISK : ACK_MEMORY;
	return bundle;
}

static void
run_bundle(struct call *call, struct batch *batch, size_t count)
{
	struct bundle *bundle;

	bundle = read_bundle(call, batch, count);
	if (!bundle)
		return;
	/* The bundle outlives the batch: the name goes with its bytes. */
	memcpy(batch->bytes + batch->len, batch->name, batch->name_len);
	bundle->namespace = slice(batch->bytes + batch->len, batch->name_len);
	for (size_t i = 0; i < count; i++)
		bundle->items[i].put.target.namespace = bundle->namespace;
	bundle->bytes = batch->bytes;
	batch->bytes = NULL;
	CALL_ASK(call, REPLY_BUNDLE, cache_bundle, call->session->all->cache, &bundle);
}

/* ---- the body */

/* Room for so many bytes more, and the name behind them. */
static enum error
grow(struct session *session, size_t more)
{
	struct batch *batch = session->batch;
	size_t need = batch->len + more + NAMESPACE_NAME_MAX, room = batch->room;
	uint8_t *bytes;

	if (batch->len + more > batch->limit)
		return ERROR_TOO_LARGE;
	if (need <= room)
		return ERROR_NONE;
	room = room * 2 > need ? room * 2 : need;
	if (!user_may(session->user, session->user->batches, session->all->batch_bytes,
		      BATCH_ARRIVING_MAX, room - batch->room))
		return ERROR_BUSY;
	bytes = realloc(batch->bytes, room);
	if (!bytes)
		return ERROR_NO_MEMORY;
	session->all->batch_bytes += room - batch->room;
	session->user->batches += room - batch->room;
	batch->bytes = bytes;
	batch->room = room;
	return ERROR_NONE;
}

static enum error
append(struct session *session, struct slice bytes)
{
	struct batch *batch = session->batch;
	enum error error = grow(session, bytes.len);

	if (error)
		return error;
	if (bytes.len)
		memcpy(batch->bytes + batch->len, bytes.data, bytes.len);
	batch->len += bytes.len;
	return ERROR_NONE;
}

/* The body is here: it is carried out, or refused. */
static void
run(struct session *session)
{
	struct batch *batch = session->batch;
	const struct frame frame = { .kind = COMMAND_BATCH,
				     .id = batch->id,
				     .first = { .mark = FRAME_LAST } };
	struct call call = {
		.session = session, .frame = &frame, .kind = COMMAND_BATCH, .entry = -1
	};
	struct slice body = slice(batch->bytes, batch->len);
	bool gets;
	size_t count = count_entries(body, &gets);

	user_served(session->user, (unsigned)count);
	if (!count)
		call_refuse(&call, ERROR_BAD_REQUEST, 0,
			    "a BATCH has 1 to 1024 entries: GETs only, or PUTs and "
			    "DELETEs");
	else if (gets)
		run_gets(&call, batch, body, count);
	else
		run_bundle(&call, batch, count);
	session_drop_batch(session);
}

void
batch_begin(struct call *call)
{
	struct session *session = call->session;
	struct batch *batch;
	enum error error;

	if (call->frame->first.mark == FRAME_ABORT) {
		call_refuse(call, ERROR_ABORTED, 0, NULL);
		return;
	}
	if (!call_check_namespace(call) || !call_check_ack(call))
		return;
	if (call->frame->first.mark == FRAME_NONE) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "a BATCH needs a body");
		return;
	}
	batch = session->batch = calloc(1, sizeof(*batch));
	if (!batch) {
		call_refuse(call, ERROR_NO_MEMORY, 0, NULL);
		return;
	}
	batch->limit = cache_bundle_max(session->all->cache);
	batch->id = call->frame->id;
	batch->ack = (enum ack)call->message.ack;
	batch->name_len = call->target.namespace.len;
	memcpy(batch->name, call->target.namespace.data, batch->name_len);
	error = append(session, call->body);
	if (error) {
		call_refuse(call, error, error == ERROR_TOO_LARGE ? batch->limit : 0,
			    NULL);
		session_drop_batch(session);
	} else if (call->frame->first.mark == FRAME_MORE) {
		session->body = BODY_BATCH;
	} else {
		run(session);
	}
}

void
batch_continue(struct session *session, const struct frame_segment *segment,
	       struct slice bytes)
{
	uint32_t id = session->batch->id;
	size_t limit = session->batch->limit;
	enum error error =
		segment->mark == FRAME_ABORT ? ERROR_ABORTED : append(session, bytes);

	if (error) {
		reply_error(session, id, error, error == ERROR_TOO_LARGE ? limit : 0,
			    NULL);
		session_drop_batch(session);
		session->body = BODY_DISCARD;
	} else if (segment->mark == FRAME_LAST) {
		session->body = BODY_NONE;
		run(session);
	}
}

bool
batch_admitted(const struct session *session, struct slice bytes)
{
	const struct batch *batch = session->batch;
	size_t len = bytes.len + (batch ? batch->len : 0);
	const uint8_t *first = batch && batch->len ? batch->bytes : bytes.data;

	/* Gets need no room. */
	if (len == 0 || *first == COMMAND_GET)
		return true;
	return cache_admits(session->all->cache, session->payer, len);
}
