/* verifying.c - pages of VERIFY: a reader looks, the loop judges what its counts are worth. Loop thread; owns nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"
#include "daemon/text.h"

#define FIGURE_LINE_MAX (NAMESPACE_NAME_MAX + 96)
#define FINDINGS_MAX (1024 + VERIFY_DOUBTS_MAX * VERIFY_FIGURES * FIGURE_LINE_MAX)

_Static_assert(VERIFY_PLACE_SIZE <= MESSAGE_CURSOR_MAX, "a place is a cursor");

int
op_start_verify(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct slice cursor = op->list.cursor;
	struct verify_place place = { .part = VERIFY_RECORDS };
	struct parked *parked;
	struct read_job *job;

	if (cursor.len && !verify_place_read(cursor, &place))
		return answer_refuse(ret_answer, ERROR_BAD_REQUEST);
	parked = op_park(cache, op);
	if (!parked)
		return answer_refuse(ret_answer, ERROR_BUSY);
	job = op_job(parked, READ_VERIFY);
	if (job)
		job->verify = calloc(1, sizeof(*job->verify));
	if (!job || !job->verify) {
		op_unpark(cache, parked);
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	job->verify->store = cache->store;
	job->verify->place = place;
	core_submit_job(cache, job);
	return CACHE_LATER;
}

/* Was the namespace's row left alone while it was counted? Only then is what was counted at several times one figure. */
static bool
counted_at_rest(const struct cache *cache, const struct verify_doubt *doubt)
{
	if (doubt->began == doubt->ended)
		return true;
	/* Numbers of transactions begin anew in a file that replaced another. */
	if (doubt->began > doubt->ended)
		return false;
	for (const struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at))
		if (at->incarnation == doubt->incarnation)
			return count_figure(&at->usage->written_txn) <= doubt->began;
	return false;
}

static void
say_doubt(struct text *text, const struct verify_doubt *doubt)
{
	static const struct {
		const char *name;
		uint64_t times;
	} figures[] = {
		[VERIFY_OBJECTS] = { "objects", 1 },
		[VERIFY_LOGICAL] = { "value_bytes", 1 },
		[VERIFY_LEAF_BYTES] = { "row_bytes", 1 },
		[VERIFY_CHUNK_PAGES] = { "chunk_bytes", PAGE_SIZE_BYTES },
	};
	char owner[16] = "";

	if (doubt->uid != NAMESPACE_SHARED)
		snprintf(owner, sizeof(owner), "%" PRIu32 ":", doubt->uid);
	for (unsigned i = 0; i < VERIFY_FIGURES; i++)
		if (doubt->recorded[i] != doubt->counted[i])
			text_add(text, "%s%.*s\t%s\t%" PRIu64 "\t%" PRIu64 "\n", owner,
				 (int)doubt->name_len, doubt->name,
				 doubt->part == VERIFY_STAMPS ? "stamps"
							      : figures[i].name,
				 doubt->recorded[i] * figures[i].times,
				 doubt->counted[i] * figures[i].times);
}

static void
say_all(const struct cache *cache, const struct verify *verify, struct text *text)
{
	uint64_t moving = 0;
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "rows", verify->rows },
		{ "bytes", verify->bytes },
		{ "damaged", verify->damaged },
		{ "misplaced", verify->misplaced },
		{ "incomplete", verify->incomplete },
		{ "unowned", verify->unowned },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_add(text, "\t%s\t%" PRIu64 "\n", lines[i].name, lines[i].value);
	for (unsigned i = 0; i < verify->doubt_count; i++)
		if (counted_at_rest(cache, &verify->doubts[i]))
			say_doubt(text, &verify->doubts[i]);
		else
			moving++;
	text_add(text, "\tnot_counted\t%" PRIu64 "\n", moving);
}

static void
note_damage(struct cache *cache, const struct verify *verify)
{
	uint64_t rows = verify->damaged + verify->misplaced + verify->incomplete;

	if (!rows)
		return;
	cache->counts.damaged_rows += rows - 1;
	core_note_damage(cache, "a row that was verified");
}

void
op_give_findings(struct cache *cache, struct parked *parked)
{
	const struct verify *verify = parked->job->verify;
	struct answer answer = { .kind = ANSWER_DONE };
	struct text text = { 0 };
	uint8_t cursor[VERIFY_PLACE_SIZE];

	if (parked->job->result < 0) {
		answer = answer_error(parked->job->result == STORE_DAMAGED
					      ? ERROR_DAMAGED
					      : ERROR_INTERNAL,
				      0, store_why(parked->job->result));
	} else if (!text_make(&text, FINDINGS_MAX)) {
		answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
	} else {
		note_damage(cache, verify);
		say_all(cache, verify, &text);
		answer.owner = text.bytes;
		answer.value = slice(text.bytes, text.len);
		if (verify->place.part != VERIFY_DONE) {
			verify_place_write(&verify->place, cursor);
			answer.cursor = slice(cursor, sizeof(cursor));
		}
	}
	op_measure_later(cache, &parked->op);
	answer_give(&parked->op.later, &answer);
	op_unpark(cache, parked);
}
