/* test_tenants.c - who gives when room is short: quotas, fair shares, what nobody can reach. */
#include "tests/unit/engine.h"

#include "conf/conf.h"
#include "daemon/cache_core.h"

#define MIB (UINT64_C(1) << 20)
#define VALUE 20000
#define OWN 100 /* objects of the one who must not lose any */

static char value[VALUE];

/* The sections apply from now on. */
static void
configure(struct engine *engine, const char *text)
{
	static struct conf conf;
	struct conf_error error;
	FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(stream);
	conf_defaults(&conf);
	if (conf_read_stream(&conf, stream, "test", &error))
		fail_msg("%s", error.text);
	fclose(stream);
	engine->config.tenants = &conf.tenants;
	cache_configure(engine->cache, &engine->config);
}

static struct target
target_of(uint32_t uid, const char *name, unsigned number)
{
	static char key[16];

	snprintf(key, sizeof(key), "%u", number);
	return (struct target){ .uid = uid,
				.namespace = slice_text(name),
				.key = slice_text(key) };
}

static enum answer_kind
put(struct engine *engine, uint32_t uid, const char *name, unsigned number)
{
	struct put what = { .target = target_of(uid, name, number), .ttl_ms = TTL_NEVER };

	return engine_put_as(engine, &what, value, sizeof(value));
}

static unsigned
count_there(struct engine *engine, uint32_t uid, const char *name, unsigned numbers)
{
	unsigned there = 0;

	for (unsigned i = 0; i < numbers; i++) {
		struct get get = { .target = target_of(uid, name, i),
				   .max_age_ms = TTL_NEVER,
				   .meta_only = true };

		ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
		there += engine->answer.kind == ANSWER_DONE;
	}
	return there;
}

static void
fill(struct engine *engine, uint32_t uid, const char *name, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		assert_int_equal(put(engine, uid, name, i), ANSWER_DONE);
		if (i % 64 == 0)
			engine_sync(engine);
	}
	engine_sync(engine);
}

static uint64_t
charged(struct engine *engine, uint32_t uid, const char *name)
{
	const struct namespace *namespace =
		names_find(&engine->cache->names, uid, slice_text(name));

	assert_non_null(namespace);
	return usage_figure(&namespace->usage->leaf_bytes) +
	       usage_figure(&namespace->usage->chunk_pages) * PAGE_SIZE_BYTES;
}

static void
who_is_over_its_quota_gives_of_its_own_though_the_store_has_room(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[user 1]\nquota = 4M\n");
	fill(&engine, 1, "a", 0, OWN);
	fill(&engine, 1, "b", 0, OWN);
	fill(&engine, 2, "a", 0, OWN);
	fill(&engine, 1, "a", OWN, 10 * OWN);
	assert_in_range(charged(&engine, 1, "a") + charged(&engine, 1, "b"), MIB,
			4 * MIB);
	assert_int_equal(count_there(&engine, 2, "a", OWN), OWN);
	engine_close(&engine);
}

static void
a_shared_namespace_is_charged_to_itself_and_not_to_who_writes_there(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[namespace /s]\nwriters = 1\nquota = 3M\n"
			   "[user 1]\nquota = 4M\n");
	fill(&engine, 1, "a", 0, OWN);
	fill(&engine, 1, "/s", 0, 10 * OWN);
	assert_in_range(charged(&engine, 1, "/s"), MIB, 3 * MIB);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	/* Somebody else sees it too; how much there is by then, the writer still decides. */
	assert_true(count_there(&engine, 2, "/s", 10 * OWN) > 0);
	engine_close(&engine);
}

static void
a_lower_quota_is_kept_at_once_and_by_itself(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	fill(&engine, 1, "a", 0, 4 * OWN);
	fill(&engine, 2, "a", 0, OWN);
	configure(&engine, "[user *]\nquota = 3M\n");
	while (charged(&engine, 1, "a") > 3 * MIB) {
		fill(&engine, 3, "other", 0, 1);
		engine_sync(&engine);
	}
	assert_int_equal(count_there(&engine, 2, "a", OWN), OWN);
	engine_close(&engine);
}

static void
in_a_full_store_one_below_its_share_loses_nothing(void **state)
{
	struct engine engine;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	fill(&engine, 2, "mine", 0, OWN);
	/* Three times the store. */
	fill(&engine, 1, "flood", 0, 8000);
	assert_true(engine_figure(&engine, "", "evicted_objects") > 4000);
	assert_int_equal(count_there(&engine, 2, "mine", OWN), OWN);
	engine_close(&engine);
}

/* Small, so that its cost decides and not its size. */
static void
put_costly(struct engine *engine, uint32_t uid, unsigned number, uint64_t cost_us)
{
	struct put what = { .target = target_of(uid, "a", number),
			    .ttl_ms = TTL_NEVER,
			    .cost_us = cost_us };

	assert_int_equal(engine_put_as(engine, &what, value, sizeof(value)), ANSWER_DONE);
}

static void
what_others_say_that_theirs_has_cost_says_nothing_of_ones_own(void **state)
{
	struct engine engine;
	const struct namespace *liar, *honest;
	(void)state;

	engine_open(&engine);
	for (unsigned i = 0; i < 2 * OWN; i++) {
		put_costly(&engine, 1, i, UINT64_MAX / 2);
		put_costly(&engine, 2, i, 2000);
	}
	engine_sync(&engine);
	configure(&engine, "[user *]\nquota = 2M\n");
	while (charged(&engine, 1, "a") > 2 * MIB || charged(&engine, 2, "a") > 2 * MIB)
		fill(&engine, 3, "other", 0, 1);
	engine_sync(&engine); /* the writer is through with them */
	liar = names_find(&engine.cache->names, 1, slice_text("a"));
	honest = names_find(&engine.cache->names, 2, slice_text("a"));
	assert_true(liar->usage->median_cost_us > 10000);
	assert_true(honest->usage->median_cost_us < 3000);
	engine_close(&engine);
}

static void
what_is_not_declared_any_more_is_the_first_to_go(void **state)
{
	struct engine engine;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	configure(&engine, "[namespace /s]\nwriters = 1\n[namespace /t]\nwriters = 1\n");
	fill(&engine, 1, "/s", 0, 4 * OWN);
	fill(&engine, 1, "/t", 0, OWN);
	configure(&engine, "[namespace /t]\nwriters = 1\n");
	/* It is there as long as there is room. */
	assert_true(charged(&engine, 1, "/s") > 4 * MIB);
	for (unsigned i = 0; charged(&engine, 1, "/s") > MIB; i += 100) {
		fill(&engine, 1, "flood", i, i + 100);
		assert_int_equal(count_there(&engine, 1, "/t", OWN), OWN);
	}
	engine_close(&engine);
}

/* ---- values that are not whole yet ---- */

#define PART CACHE_PART_MAX

/* One of a client's uploads. */
struct arriving {
	struct payer *payer;
	struct upload *upload;
	struct answer refused;
	enum error error;
	uint64_t sent;
};

static void
arriving_begin(struct engine *engine, struct arriving *arriving, uint32_t uid,
	       const char *name)
{
	struct put put = { .target = target_of(uid, name, 0), .ttl_ms = TTL_NEVER };

	*arriving = (struct arriving){ .payer = payer_new(engine->cache, uid) };
	put.payer = arriving->payer;
	cache_turn_begin(engine->cache);
	arriving->upload =
		upload_open(engine->cache, &put, UINT64_MAX, &arriving->refused);
	cache_turn_end(engine->cache);
	assert_non_null(arriving->upload);
}

/* Sends so much more of it, or until it is refused. */
static void
arriving_send(struct engine *engine, struct arriving *arriving, uint64_t bytes)
{
	static uint8_t part[PART];

	while (bytes && !arriving->error) {
		size_t now = bytes < PART ? bytes : PART;

		while (!upload_ready(arriving->upload))
			engine_step(engine);
		cache_turn_begin(engine->cache);
		if (upload_write(arriving->upload, slice(part, now), &arriving->refused))
			arriving->error = arriving->refused.error;
		else
			arriving->sent += now;
		cache_turn_end(engine->cache);
		bytes -= now;
	}
	engine_sync(engine);
}

static void
arriving_end(struct engine *engine, struct arriving *arriving)
{
	cache_turn_begin(engine->cache);
	upload_abort(&arriving->upload);
	payer_release(&arriving->payer);
	cache_turn_end(engine->cache);
}

static void
values_that_never_end_take_nothing_from_one_below_its_share(void **state)
{
	struct arriving endless[4];
	struct engine engine;
	unsigned given_up = 0;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	fill(&engine, 5, "mine", 0, OWN);
	/* None of them has anything that could be evicted, and together they would fill the store. */
	for (unsigned i = 0; i < 4; i++)
		arriving_begin(&engine, &endless[i], i + 1, "a");
	for (unsigned round = 0; round < 15; round++)
		for (unsigned i = 0; i < 4; i++)
			arriving_send(&engine, &endless[i], MIB);
	/* Room is made by the one who has most. */
	while (count_figure(&writer_counts(engine.cache->writer)->used_pages) >
	       count_figure(&writer_counts(engine.cache->writer)->limit_pages))
		engine_step(&engine);
	for (unsigned i = 0; i < 4; i++) {
		arriving_send(&engine, &endless[i], 1);
		given_up += endless[i].error == ERROR_BUSY;
	}
	assert_in_range(given_up, 1, 2);
	assert_int_equal(count_there(&engine, 5, "mine", OWN), OWN);
	assert_int_equal(engine_figure(&engine, "5:mine", "evicted"), 0);
	for (unsigned i = 0; i < 4; i++)
		arriving_end(&engine, &endless[i]);
	fill(&engine, 5, "mine", 0, OWN);
	engine_close(&engine);
}

static void
of_what_is_arriving_the_one_that_moves_least_is_given_up_and_says_so(void **state)
{
	struct arriving first, second, other;
	struct engine engine;
	struct answer answer;
	struct later later = { .answered = engine_answered, .arg = &engine };
	(void)state;

	engine_open(&engine);
	arriving_begin(&engine, &first, 1, "a");
	arriving_begin(&engine, &second, 1, "a");
	arriving_begin(&engine, &other, 2, "a");
	arriving_send(&engine, &first, 2 * PART);
	arriving_send(&engine, &other, 2 * PART);
	arriving_send(&engine, &second, 2 * PART);
	core_give_up_upload(engine.cache, 1);
	/* Until that is on the disk, it may be all that is needed. */
	core_give_up_upload(engine.cache, 1);
	engine_sync(&engine);
	arriving_send(&engine, &second, PART);
	arriving_send(&engine, &other, PART);
	assert_int_equal(second.error, ERROR_NONE);
	assert_int_equal(other.error, ERROR_NONE);
	arriving_send(&engine, &first, 1);
	assert_int_equal(first.error, ERROR_BUSY);
	assert_int_equal(first.payer->account->uploading, second.sent);
	assert_int_equal(upload_finish(&first.upload, &later, &answer), CACHE_NOW);
	assert_int_equal(answer.error, ERROR_BUSY);
	core_give_up_upload(engine.cache, 1);
	arriving_send(&engine, &second, 1);
	assert_int_equal(second.error, ERROR_BUSY);
	arriving_end(&engine, &first);
	arriving_end(&engine, &second);
	arriving_end(&engine, &other);
	assert_int_equal(engine.cache->gathering, 0);
	engine_close(&engine);
}

static void
what_a_user_has_under_way_is_within_its_quota(void **state)
{
	struct arriving own, more, shared;
	struct engine engine;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[user 1]\nquota = 4M\n[namespace /s]\nwriters = *\n");
	arriving_begin(&engine, &own, 1, "a");
	arriving_send(&engine, &own, 4 * MIB);
	assert_int_equal(own.error, ERROR_NONE);
	arriving_begin(&engine, &more, 1, "b");
	arriving_send(&engine, &more, 1);
	assert_int_equal(more.error, ERROR_BUSY);
	arriving_end(&engine, &own);
	/* A shared namespace has limits of its own, and is charged itself. */
	arriving_begin(&engine, &shared, 1, "/s");
	arriving_send(&engine, &shared, 16 * MIB);
	assert_int_equal(shared.error, ERROR_NONE);
	fill(&engine, 1, "a", 0, OWN);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	arriving_end(&engine, &more);
	arriving_end(&engine, &shared);
	engine_close(&engine);
}

static void
the_memory_in_which_parts_gather_is_shared_by_uid(void **state)
{
	static struct arriving greedy[UPLOADS_GATHERING_MAX / READER_PART_MAX], other;
	const size_t half = UPLOADS_GATHERING_MAX / READER_PART_MAX / 2;
	struct engine engine;
	size_t begun = 0;
	(void)state;

	engine_open(&engine);
	do {
		arriving_begin(&engine, &greedy[begun], 1, "a");
		arriving_send(&engine, &greedy[begun], 1);
	} while (!greedy[begun++].error);
	assert_in_range(begun, half, half + 1);
	arriving_begin(&engine, &other, 2, "a");
	arriving_send(&engine, &other, 2 * PART);
	assert_int_equal(other.error, ERROR_NONE);
	while (begun)
		arriving_end(&engine, &greedy[--begun]);
	arriving_end(&engine, &other);
	assert_int_equal(engine.cache->gathering, 0);
	engine_close(&engine);
}

/* ---- whose the store is ---- */

static void
use_machine(struct engine *engine, const char *id)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/machine-id", engine->path);
	remove(path);
	engine->config.machine_file = path;
	if (!id)
		return;
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(id, file) > 0);
	fclose(file);
}

static void
restart_on(struct engine *engine, const char *machine, bool adopt)
{
	engine_stop(engine);
	use_machine(engine, machine);
	engine->config.adopt = adopt;
	engine_reopen(engine);
}

#define HERE "0123456789abcdef0123456789abcdef\n"
#define THERE "fedcba9876543210fedcba9876543210\n"

static void
open_on(struct engine *engine, const char *machine)
{
	engine_open(engine);
	restart_on(engine, machine, true);
	configure(engine, "[namespace /s]\nwriters = 1\n");
	fill(engine, 1, "a", 0, OWN);
	fill(engine, 1, "/s", 0, OWN);
}

static void
a_store_of_another_machine_is_nobodys(void **state)
{
	struct engine engine;
	(void)state;

	open_on(&engine, HERE);
	restart_on(&engine, HERE, false);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	restart_on(&engine, THERE, false);
	assert_int_equal(count_there(&engine, 1, "a", OWN), 0);
	assert_int_equal(count_there(&engine, 1, "/s", OWN), 0);
	/* What is stored now is somebody's, at the next start too; the other stays nobody's, back home as well. */
	fill(&engine, 1, "a", 0, 7);
	restart_on(&engine, THERE, false);
	assert_int_equal(count_there(&engine, 1, "a", OWN), 7);
	restart_on(&engine, HERE, false);
	assert_int_equal(count_there(&engine, 1, "a", OWN), 0);
	engine_close(&engine);
}

static void
a_store_of_another_machine_is_taken_over_when_it_is_adopted(void **state)
{
	struct engine engine;
	(void)state;

	open_on(&engine, HERE);
	restart_on(&engine, THERE, true);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	restart_on(&engine, THERE, false);
	assert_int_equal(count_there(&engine, 1, "/s", OWN), OWN);
	engine_close(&engine);
}

static void
it_may_be_adopted_later_and_what_was_stored_meanwhile_stays(void **state)
{
	struct engine engine;
	(void)state;

	open_on(&engine, HERE);
	restart_on(&engine, THERE, false);
	fill(&engine, 1, "a", 0, 7);
	restart_on(&engine, THERE, true);
	assert_int_equal(count_there(&engine, 1, "a", OWN), 7);
	assert_int_equal(count_there(&engine, 1, "/s", OWN), OWN);
	engine_close(&engine);
}

static void
a_machine_without_an_id_equals_itself(void **state)
{
	struct engine engine;
	(void)state;

	open_on(&engine, NULL);
	restart_on(&engine, NULL, false);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	engine_close(&engine);
}

static void
in_a_full_store_what_came_from_another_machine_goes_first(void **state)
{
	struct engine engine;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	restart_on(&engine, HERE, true);
	fill(&engine, 2, "old", 0, 4 * OWN);
	restart_on(&engine, THERE, false);
	fill(&engine, 1, "new", 0, OWN);
	fill(&engine, 2, "flood", 0, 3000);
	assert_int_equal(count_there(&engine, 1, "new", OWN), OWN);
	restart_on(&engine, THERE, true);
	assert_true(count_there(&engine, 2, "old", 4 * OWN) < OWN);
	engine_close(&engine);
}

#define DYNAMIC 62000

static void
what_a_number_had_that_systemd_gives_anew_is_gone_after_a_restart(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	fill(&engine, DYNAMIC, "a", 0, OWN);
	fill(&engine, DYNAMIC - 1000, "a", 0, OWN);
	assert_int_equal(count_there(&engine, DYNAMIC, "a", OWN), OWN);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(count_there(&engine, DYNAMIC, "a", OWN), 0);
	assert_int_equal(count_there(&engine, DYNAMIC - 1000, "a", OWN), OWN);
	engine_close(&engine);
}

static uint32_t
writer_of(struct engine *engine, unsigned number)
{
	struct get get = { .target = target_of(1, "/s", number),
			   .max_age_ms = TTL_NEVER,
			   .meta_only = true };

	ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
	assert_int_equal(engine->answer.kind, ANSWER_DONE);
	return engine->answer.writer_uid;
}

static void
after_a_restart_nobody_is_taken_for_the_writer_who_had_such_a_number(void **state)
{
	struct engine engine;
	struct target touched;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[namespace /s]\nwriters = *\n");
	fill(&engine, DYNAMIC, "/s", 0, 2);
	fill(&engine, 1000, "/s", 2, 3);
	assert_int_equal(writer_of(&engine, 0), DYNAMIC);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(writer_of(&engine, 0), NAMESPACE_SHARED);
	assert_int_equal(writer_of(&engine, 2), 1000);
	touched = target_of(DYNAMIC, "/s", 0);
	ENGINE_CALL(&engine, cache_touch(engine.cache, &touched, 100000, ACK_DISK, &later,
					 &answer_));
	assert_int_equal(writer_of(&engine, 0), NAMESPACE_SHARED);
	fill(&engine, DYNAMIC, "/s", 1, 2);
	assert_int_equal(writer_of(&engine, 1), DYNAMIC);
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_is_over_its_quota_gives_of_its_own_though_the_store_has_room),
		cmocka_unit_test(
			a_shared_namespace_is_charged_to_itself_and_not_to_who_writes_there),
		cmocka_unit_test(a_lower_quota_is_kept_at_once_and_by_itself),
		cmocka_unit_test(in_a_full_store_one_below_its_share_loses_nothing),
		cmocka_unit_test(
			what_others_say_that_theirs_has_cost_says_nothing_of_ones_own),
		cmocka_unit_test(what_is_not_declared_any_more_is_the_first_to_go),
		cmocka_unit_test(
			values_that_never_end_take_nothing_from_one_below_its_share),
		cmocka_unit_test(
			of_what_is_arriving_the_one_that_moves_least_is_given_up_and_says_so),
		cmocka_unit_test(what_a_user_has_under_way_is_within_its_quota),
		cmocka_unit_test(the_memory_in_which_parts_gather_is_shared_by_uid),
		cmocka_unit_test(a_store_of_another_machine_is_nobodys),
		cmocka_unit_test(
			a_store_of_another_machine_is_taken_over_when_it_is_adopted),
		cmocka_unit_test(
			it_may_be_adopted_later_and_what_was_stored_meanwhile_stays),
		cmocka_unit_test(a_machine_without_an_id_equals_itself),
		cmocka_unit_test(
			in_a_full_store_what_came_from_another_machine_goes_first),
		cmocka_unit_test(
			what_a_number_had_that_systemd_gives_anew_is_gone_after_a_restart),
		cmocka_unit_test(
			after_a_restart_nobody_is_taken_for_the_writer_who_had_such_a_number),
	};
	return unit_run(tests);
}
