/* test_reader.c - whose turn it is at the readers. */
#include "tests/unit/engine.h"

#include <semaphore.h>
#include <sys/eventfd.h>

#include "daemon/cache_core.h"
#include "proto/bytes.h"

#define FLOOD 500

/* One reader thread works; the test holds it up until all jobs are there. */
static sem_t arrived, gate;
static unsigned read_so_far;

struct ticket {
	struct read_job job;
	bool first;     /* it waits at the gate */
	unsigned place; /* in the order of reading, from 1 */
};

static bool
visit(void *owner, const uint8_t *row_key, const struct record *record)
{
	struct ticket *ticket = owner;

	(void)row_key;
	(void)record;
	if (ticket->first) {
		sem_post(&arrived);
		sem_wait(&gate);
	}
	ticket->place = ++read_so_far;
	return false;
}

static void
submit(struct readers *readers, uint32_t incarnation, struct ticket *ticket, uint32_t uid)
{
	ticket->job.kind = READ_SCAN;
	ticket->job.uid = uid;
	ticket->job.owner = ticket;
	ticket->job.visit = visit;
	be32_store(ticket->job.row_key, incarnation);
	readers_submit(readers, &ticket->job);
}

static void
collect(struct readers *readers, int wake_fd, unsigned count)
{
	struct pollfd wake = { wake_fd, POLLIN, 0 };
	uint64_t woken;

	while (count) {
		assert_int_equal(poll(&wake, 1, ENGINE_HUNG_MS), 1);
		assert_int_equal(read(wake_fd, &woken, sizeof(woken)), sizeof(woken));
		for (struct read_job *job = readers_collect(readers); job;
		     job = job->next, count--)
			assert_int_equal(job->result, STORE_HIT);
	}
}

/* Asks for FLOOD pages as `greedy`, then for one as each of the others; their places are in ret_places. */
static void
ask_behind_a_flood(uint32_t greedy, const uint32_t *others, unsigned count,
		   unsigned *ret_places)
{
	static struct ticket tickets[FLOOD + READER_LANES];
	struct engine engine;
	struct readers *readers;
	struct read_job *left;
	uint32_t incarnation;
	int wake_fd = eventfd(0, EFD_CLOEXEC);

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "k", "v", 1), ANSWER_DONE);
	engine_sync(&engine);
	incarnation = names_find(&engine.cache->names, 1000, slice_text("default"))
			      ->incarnation;
	readers = readers_start(engine.cache->store, 1, wake_fd);
	assert_non_null(readers);
	memset(tickets, 0, sizeof(tickets));
	assert_int_equal(sem_init(&arrived, 0, 0), 0);
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	read_so_far = 0;
	tickets[0].first = true;
	submit(readers, incarnation, &tickets[0], greedy);
	sem_wait(&arrived);
	for (unsigned i = 1; i < FLOOD; i++)
		submit(readers, incarnation, &tickets[i], greedy);
	for (unsigned i = 0; i < count; i++)
		submit(readers, incarnation, &tickets[FLOOD + i], others[i]);
	sem_post(&gate);
	collect(readers, wake_fd, FLOOD + count);
	for (unsigned i = 0; i < count; i++)
		ret_places[i] = tickets[FLOOD + i].place;
	readers_stop(&readers, &left);
	assert_null(left);
	close(wake_fd);
	engine_close(&engine);
}

static void
five_hundred_pages_of_one_uid_do_not_hold_up_another(void **state)
{
	const uint32_t other = 2;
	unsigned place;

	(void)state;
	ask_behind_a_flood(1, &other, 1, &place);
	/* Behind the page that was being read, and at most one more. */
	assert_in_range(place, 2, 3);
}

static void
uids_whose_numbers_are_alike_have_queues_of_their_own(void **state)
{
	uint32_t others[READER_LANES - 1];
	unsigned places[READER_LANES - 1];

	(void)state;
	for (unsigned i = 0; i < READER_LANES - 1; i++)
		others[i] = 1000 + (i + 1) * READER_LANES;
	ask_behind_a_flood(1000, others, READER_LANES - 1, places);
	for (unsigned i = 0; i < READER_LANES - 1; i++)
		assert_in_range(places[i], 2, READER_LANES + 2);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_hundred_pages_of_one_uid_do_not_hold_up_another),
		cmocka_unit_test(uids_whose_numbers_are_alike_have_queues_of_their_own),
	};
	return unit_run(tests);
}
