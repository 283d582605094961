/* test_user.c - what one uid may have of what all share. */
#include "tests/unit/engine.h"

#include "daemon/cache_core.h"
#include "daemon/user.h"

static void
a_user_gets_half_of_what_its_fellows_leave(void **state)
{
	struct users users = { { NULL } };
	struct user *user = user_join(&users, 1000, false);
	size_t own = 0;

	(void)state;
	assert_ptr_equal(user_find(&users, 1000), user);
	assert_null(user_find(&users, 1256));
	while (user_may(user, own, own, 100, 1))
		own++;
	assert_int_equal(own, 50);
	/* One who comes later finds half of the rest, and so does the next. */
	assert_true(user_may(NULL, 0, 50, 100, 25));
	assert_false(user_may(NULL, 0, 50, 100, 26));
	user_leave(&users, &user);
	assert_null(user);
	assert_null(user_find(&users, 1000));
}

static void
an_administrator_may_have_all_there_is_and_no_more(void **state)
{
	struct users users = { { NULL } };
	struct user *root = user_join(&users, 0, true);

	(void)state;
	assert_true(user_may(root, 0, 40, 100, 60));
	assert_false(user_may(root, 0, 40, 100, 61));
	assert_false(user_may(root, 0, 140, 100, 0));
	user_leave(&users, &root);
}

static void
a_user_with_many_sockets_has_its_turn_only_so_often(void **state)
{
	struct users users = { { NULL } };
	struct user *user = user_join(&users, 1000, false);

	(void)state;
	for (int i = 0; i < USER_READS_MAX; i++)
		assert_true(user_reads(user, 7));
	assert_false(user_reads(user, 7));
	assert_true(user_reads(user, 8));
	user_leave(&users, &user);
}

static void
a_user_has_so_many_requests_in_its_turn_and_is_not_read_from_beyond(void **state)
{
	struct users users = { { NULL } };
	struct user *user = user_join(&users, 1000, false);
	struct user *root = user_join(&users, 0, true);

	(void)state;
	for (int i = 0; i < USER_REQUESTS_MAX; i++) {
		assert_true(user_has_turn(user, 7));
		user_served(user, 1);
	}
	assert_false(user_has_turn(user, 7));
	assert_false(user_reads(user, 7));
	assert_true(user_reads(user, 8));
	/* A batch counts for what is in it. */
	user_served(user, 2 * USER_REQUESTS_MAX);
	assert_false(user_has_turn(user, 8));
	assert_true(user_has_turn(user, 9));
	assert_true(user_has_turn(root, 9));
	user_served(root, 2 * USER_REQUESTS_MAX);
	assert_true(user_reads(root, 9));
	user_leave(&users, &user);
	user_leave(&users, &root);
}

/* As long as the writer is not woken, what is accepted stays pending. */
static void
accept(struct engine *engine, struct payer *payer, size_t bytes)
{
	struct change *change = change_new(CHANGE_SYNC, bytes);

	assert_non_null(change);
	change->value_len = bytes;
	core_accept(engine->cache, change, payer);
}

static void
pending_bytes_are_shared_by_uid_and_then_by_connection(void **state)
{
	struct engine engine;
	struct payer *greedy[8], *other;
	size_t part = 1 << 20;
	unsigned taken = 0;

	(void)state;
	engine_open(&engine);
	engine.config.pending_size = 16 << 20;
	cache_configure(engine.cache, &engine.config);
	other = payer_new(engine.cache, 2000);
	for (int i = 0; i < 8; i++)
		greedy[i] = payer_new(engine.cache, 1001);
	cache_turn_begin(engine.cache);
	for (int round = 0; round < 64; round++)
		for (int i = 0; i < 8; i++) {
			if (!cache_admits(engine.cache, greedy[i], part))
				continue;
			accept(&engine, greedy[i], part);
			taken++;
		}
	/* Half is there for the taking, and of the rest a uid that is alone may have all. */
	assert_in_range(taken, 8, 16);
	/* The other's first bytes have room whatever there is. */
	assert_true(cache_admits(engine.cache, other, 60000));
	/* Where all is taken, a put that others wait for draws on the reserve; of one uid no more than its part. */
	for (; pending_bytes(engine.cache->pending) + part <= 16 << 20; taken++)
		accept(&engine, greedy[0], part);
	assert_false(cache_admits(engine.cache, other, part));
	assert_true(cache_admits_awaited(engine.cache, other, part));
	assert_false(cache_admits_awaited(engine.cache, other, 5 * part));
	accept(&engine, other, part);
	assert_false(cache_admits_awaited(engine.cache, greedy[1], part));
	cache_turn_end(engine.cache);
	engine_sync(&engine);
	for (int i = 0; i < 8; i++)
		payer_release(&greedy[i]);
	payer_release(&other);
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_gets_half_of_what_its_fellows_leave),
		cmocka_unit_test(an_administrator_may_have_all_there_is_and_no_more),
		cmocka_unit_test(
			a_user_has_so_many_requests_in_its_turn_and_is_not_read_from_beyond),
		cmocka_unit_test(a_user_with_many_sockets_has_its_turn_only_so_often),
		cmocka_unit_test(pending_bytes_are_shared_by_uid_and_then_by_connection),
	};
	return unit_run(tests);
}
