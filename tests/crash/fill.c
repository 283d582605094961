/* fill.c - puts several times more than max_size and looks all the while at what the directory takes.
 *
 *	fill KIND SIZE TIMES [SEED]     KIND: mixed, small (100 B), over (one byte over a chunk), shift
 *	                                (large values into a store full of small ones)
 *
 * One connection puts without waiting, another gets what was put lately, a third thread looks at the disk.
 * No put may fail, no value may be wrong, du may never show more than 1.1 times the limit; afterwards
 * everything that is left gets a short life, and its room has to come back. */
#include <pthread.h>

#include "tests/crash/daemon.h"

#define WINDOW 1024
#define VALUE_MAX (3u << 20)
#define RECENT 1000 /* the getter asks for one of the newest so many */
#define DU_PART 11  /* tenths of the limit that du may show */

struct run {
	uint64_t seed, state;
	const char *kind;
	uint64_t limit;
	struct daemon daemon;
	struct client putter;
	uint64_t put_bytes;
	_Atomic uint64_t answered; /* puts */
	_Atomic bool ending;
	/* The getter's. */
	_Atomic uint64_t gets, hits, longest_gap_us, worst_at;
	/* The looker's. */
	_Atomic uint64_t looks, most_du, most_memory;
};

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* The value of number n, its length too, follow from n alone. */
static size_t
len_of(const struct run *run, uint64_t n)
{
	uint64_t chance = mix(n ^ run->seed);

	if (strcmp(run->kind, "small") == 0)
		return 100;
	if (strcmp(run->kind, "shift") == 0)
		return n < run->limit / 200 ? 100 : 700000;
	if (strcmp(run->kind, "over") == 0)
		return chance % 2 ? 65497 : 4057;
	switch (chance % 64) {
	case 0:
		return (chance >> 8) % VALUE_MAX;
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
		return (chance >> 8) % 200000;
	case 8:
	case 9:
	case 10:
	case 11:
	case 12:
	case 13:
	case 14:
	case 15:
	case 16:
	case 17:
	case 18:
	case 19:
		return (chance >> 8) % 10000;
	default:
		return (chance >> 8) % 2000;
	}
}

static void
write_value(uint8_t *to, uint64_t n, size_t len)
{
	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = mix(n + at);

		memcpy(to + at, &word, len - at < 8 ? len - at : 8);
	}
}

static void
name(uint64_t n, struct message *message, char text[static 32])
{
	snprintf(text, 32, "object-%llu", (unsigned long long)n);
	MESSAGE_SET(message, KEY, key, slice_text(text));
}

static void
take_answer(struct run *run)
{
	struct client_reply reply;

	if (!client_receive(&run->putter, &reply))
		die("fill: the daemon closed the connection; see %s", run->daemon.log);
	if (reply.kind != FRAME_REPLY)
		die("fill: a put was refused with error %d: %.*s",
		    (int)reply.message.error, (int)reply.message.text.len,
		    (const char *)reply.message.text.data);
	run->answered++;
}

/* Puts numbers from `from` on until so many bytes of values are sent. Returns the next number. */
static uint64_t
put_all(struct run *run, uint64_t from, uint64_t bytes, uint64_t ttl_ms)
{
	uint8_t *value = malloc(VALUE_MAX + 8);
	uint64_t sent = run->answered, n = from;

	for (uint64_t left = bytes; value && left;) {
		struct message message = { 0 };
		size_t len = len_of(run, n);
		/* What an object takes besides its value counts as well. */
		uint64_t takes = len + 100;
		char text[32];

		name(n, &message, text);
		write_value(value, n, len);
		if (ttl_ms)
			MESSAGE_SET(&message, TTL, ttl_ms, ttl_ms);
		else if (mix(n) % 4 == 0)
			MESSAGE_SET(&message, TTL, ttl_ms, 1 + mix(n + 1) % 60000);
		if (!client_put(&run->putter, &message, value, len))
			die("fill: the daemon closed the connection; see %s",
			    run->daemon.log);
		sent++;
		n++;
		run->put_bytes += len;
		left -= left < takes ? left : takes;
		while (sent - run->answered >= WINDOW ||
		       (sent != run->answered && client_readable(&run->putter)))
			take_answer(run);
	}
	while (sent != run->answered)
		take_answer(run);
	free(value);
	return n;
}

static void *
get_all_the_while(void *arg)
{
	struct run *run = arg;
	uint64_t state = mix(run->seed + 1) | 1, last_us;
	uint8_t *expected = malloc(VALUE_MAX + 8);
	/* The gaps are to show the daemon's work, not this thread's share of a processor. */
	struct timespec pause = { .tv_nsec = 200000 };
	struct client client;

	daemon_client(&run->daemon, &client);
	last_us = now_us();
	while (expected && !run->ending) {
		struct message message = { 0 };
		struct client_reply reply;
		uint64_t newest = run->answered,
			 n = newest - dice(&state, newest < RECENT ? newest + 1 : RECENT);
		char text[32];
		uint64_t now;

		name(n, &message, text);
		if (!client_ask(&client, COMMAND_GET, &message) ||
		    !client_receive(&client, &reply) || reply.kind != FRAME_REPLY)
			die("fill: a get fails; see %s", run->daemon.log);
		now = now_us();
		if (now - last_us > run->longest_gap_us) {
			run->longest_gap_us = now - last_us;
			run->worst_at = newest;
		}
		run->gets++;
		if (!reply.message.status && !reply.aborted) {
			write_value(expected, n, reply.len);
			if (reply.len != len_of(run, n) ||
			    (reply.len && memcmp(expected, reply.body, reply.len) != 0))
				die("fill: object %llu has wrong bytes",
				    (unsigned long long)n);
			run->hits++;
		}
		nanosleep(&pause, NULL);
		last_us = now_us();
	}
	client_close(&client);
	free(expected);
	return NULL;
}

static void *
look_all_the_while(void *arg)
{
	struct run *run = arg;
	struct timespec pause = { .tv_nsec = 5000000 };

	while (!run->ending) {
		uint64_t du = daemon_du(&run->daemon),
			 memory = daemon_memory(&run->daemon);

		run->looks++;
		if (du > run->most_du)
			run->most_du = du;
		if (memory > run->most_memory)
			run->most_memory = memory;
		if (du > run->limit / 10 * DU_PART)
			die("fill: du shows %.1f MiB of at most %.1f (seed %llu); see %s",
			    (double)du / 1048576, (double)run->limit / 1048576,
			    (unsigned long long)run->seed, run->daemon.folder);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
ask_stats(struct run *run, struct client_reply *reply)
{
	struct message nothing = { 0 };

	if (!client_ask(&run->putter, COMMAND_STATS, &nothing) ||
	    !client_receive(&run->putter, reply) || reply->kind != FRAME_REPLY)
		die("fill: no statistics; see %s", run->daemon.log);
}

static uint64_t
used_bytes(struct run *run)
{
	struct client_reply reply;

	ask_stats(run, &reply);
	return client_figure(&reply, "used_bytes") -
	       client_figure(&reply, "reclaimable_bytes");
}

/* Fills the store with what does not live long; all of that room comes back. */
static void
expire_everything(struct run *run, uint64_t next)
{
	uint64_t before, began;
	struct message flush = { 0 };
	struct client_reply reply;
	struct timespec pause = { .tv_nsec = 10000000 };

	if (!client_ask(&run->putter, COMMAND_FLUSH, &flush) ||
	    !client_receive(&run->putter, &reply) || reply.kind != FRAME_REPLY)
		die("fill: a flush fails");
	next = put_all(run, next, run->limit / 4, 1000);
	before = used_bytes(run);
	began = now_us();
	while (used_bytes(run) > run->limit / 50) {
		if (now_us() > began + DAEMON_HUNG_US)
			die("fill: %.1f MiB are in use long after everything has expired "
			    "(%.1f before); see %s",
			    (double)used_bytes(run) / 1048576, (double)before / 1048576,
			    run->daemon.folder);
		nanosleep(&pause, NULL);
	}
	printf("fill: %s: after flushing and expiring everything, %.1f MiB came back within "
	       "%.2f s of the last put (they lived 1 s)\n",
	       run->kind, (double)before / 1048576, (double)(now_us() - began) / 1e6);
}

int
main(int count, char **arguments)
{
	static struct run run;
	static char limit[64];
	struct client_reply reply;
	uint64_t began_us, took_us, next, mib;
	pthread_t getter, looker;

	if (count < 4)
		die("usage: fill mixed|small|over|shift MIB TIMES [SEED]");
	run.kind = arguments[1];
	mib = strtoull(arguments[2], NULL, 10);
	run.limit = mib << 20;
	run.seed = count > 4 ? strtoull(arguments[4], NULL, 10) : now_us();
	run.state = mix(run.seed) | 1;
	daemon_init(&run.daemon);
	snprintf(limit, sizeof(limit), "max_size=%lluM", (unsigned long long)mib);
	run.daemon.settings[0] = limit;
	run.daemon.settings[1] = "max_value=8M";
	daemon_start(&run.daemon);
	daemon_client(&run.daemon, &run.putter);
	pthread_create(&getter, NULL, get_all_the_while, &run);
	pthread_create(&looker, NULL, look_all_the_while, &run);
	began_us = now_us();
	next = put_all(&run, 1,
		       (uint64_t)((double)run.limit * strtod(arguments[3], NULL)), 0);
	took_us = now_us() - began_us;
	ask_stats(&run, &reply);
	printf("fill: %s, max_size=%lluM: %llu puts of %.0f MiB in %.1f s, none refused; "
	       "du at most %.3f of the limit (%llu looks); %llu gets, %.0f %% hits, longest "
	       "gap between two answers %.1f ms; evicted %llu, expired %llu; longest commit "
	       "%.1f ms; map full %llu times; daemon memory at most %.0f MiB\n",
	       run.kind, (unsigned long long)mib, (unsigned long long)run.answered,
	       (double)run.put_bytes / 1048576, (double)took_us / 1e6,
	       (double)run.most_du / (double)run.limit, (unsigned long long)run.looks,
	       (unsigned long long)run.gets, 100.0 * (double)run.hits / (double)run.gets,
	       (double)run.longest_gap_us / 1000,
	       (unsigned long long)client_figure(&reply, "evicted_objects"),
	       (unsigned long long)client_figure(&reply, "expired_objects"),
	       (double)client_figure(&reply, "longest_commit_us") / 1000,
	       (unsigned long long)client_figure(&reply, "map_full"),
	       (double)run.most_memory / 1048576);
	expire_everything(&run, next);
	run.ending = true;
	pthread_join(getter, NULL);
	pthread_join(looker, NULL);
	client_close(&run.putter);
	if (daemon_end(&run.daemon, SIGTERM))
		die("fill: the daemon did not end well; see %s", run.daemon.log);
	daemon_done(&run.daemon);
	return 0;
}
