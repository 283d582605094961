/* stream.c - values of every size, and one very large one, through a client that never holds it whole.
 *
 *	stream MIB [SEED]
 *
 * Every size around each boundary of the layouts, of announced and of unknown length, before and after a
 * restart; then an object of MIB mebibytes: streamed in, streamed out, its source failing half way, deleted
 * and overwritten while clients read it. The daemon's memory is looked at all the while. */
#include <pthread.h>
#include <stdio.h>

#include "tests/crash/daemon.h"

#define SMALL 4056 /* payload of a small chunk row */
#define BIG 65496  /* and of a big one */
#define SMALL_VALUE_MAX (3u << 20)
/* A sanitizer keeps what was freed, and takes notes on all that is touched, the database too: its
 * memory is not judged. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEPT (UINT64_C(1) << 40)
#else
#define KEPT UINT64_C(0)
#endif
#define DAEMON_MEMORY_MAX ((UINT64_C(256) << 20) + KEPT)
#define CLIENT_MEMORY_MAX ((UINT64_C(64) << 20) + KEPT)

struct run {
	struct daemon daemon;
	struct client client;
	uint64_t seed;
	_Atomic bool ending;
	_Atomic uint64_t most_memory;
};

/* The bytes of a value follow from its number and their place alone. */
struct check {
	uint64_t number, at;
	bool wrong;
};

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	return x ^ x >> 31;
}

static void
write_part(uint8_t *to, uint64_t number, uint64_t at, size_t len)
{
	while (len && at % 8) {
		uint64_t word = mix(number + at / 8 * 8);

		*to++ = ((uint8_t *)&word)[at % 8];
		at++;
		len--;
	}
	for (; len; at += 8) {
		uint64_t word = mix(number + at);
		size_t now = len < 8 ? len : 8;

		memcpy(to, &word, now);
		to += now;
		len -= now;
	}
}

static void
check_part(void *arg, const uint8_t *bytes, size_t len)
{
	static _Thread_local uint8_t expected[FRAME_SEGMENT_MAX];
	struct check *check = arg;

	write_part(expected, check->number, check->at, len);
	if (len && memcmp(expected, bytes, len) != 0)
		check->wrong = true;
	check->at += len;
}

/* ---- requests */

static void
name(struct message *message, const char *key)
{
	*message = (struct message){ .ttl_ms = 0 };
	MESSAGE_SET(message, KEY, key, slice_text(key));
}

/* Streams a value; gives up behind give_up bytes. Returns the reply's error, 0 for none. */
static enum error
put_value(struct client *client, const char *key, uint64_t number, uint64_t len,
	  bool announced, uint64_t give_up)
{
	static _Thread_local uint8_t part[FRAME_SEGMENT_MAX];
	struct client_reply reply;
	struct message message;
	uint64_t at = 0;
	bool first = true, sent = true;

	name(&message, key);
	if (announced)
		MESSAGE_SET(&message, LENGTH, length, len);
	do {
		size_t now = len - at < sizeof(part) ? (size_t)(len - at) : sizeof(part);
		enum frame_mark mark = at + now == len ? FRAME_LAST : FRAME_MORE;

		if (at >= give_up) {
			struct frame_segment end = { .mark = FRAME_ABORT,
						     .error = ERROR_ABORTED };
			uint8_t word[FRAME_WORD_SIZE];
			struct iovec one = { word, sizeof(word) };

			frame_write_segment(word, &end);
			sent = client_write(client, &one, 1);
			break;
		}
		write_part(part, number, at, now);
		sent = first ? client_begin(client, COMMAND_PUT, &message, mark, part,
					    now)
			     : client_more(client, mark, part, now);
		first = false;
		at += now;
	} while (sent && at < len);
	if (!sent || !client_receive(client, &reply))
		die("stream: the daemon closed the connection within a put of %s", key);
	return reply.kind == FRAME_REPLY ? ERROR_NONE : (enum error)reply.message.error;
}

static void
must_put(struct run *run, const char *key, uint64_t number, uint64_t len, bool announced)
{
	enum error error =
		put_value(&run->client, key, number, len, announced, UINT64_MAX);

	if (error)
		die("stream: a put of %llu bytes is refused with error %d; see %s",
		    (unsigned long long)len, error, run->daemon.log);
}

/* True if there is a value; then it was the right one. */
static bool
get_value(struct client *client, const char *key, uint64_t number, uint64_t len)
{
	struct check check = { .number = number };
	struct client_reply reply;
	struct message message;

	name(&message, key);
	if (!client_ask(client, COMMAND_GET, &message) ||
	    !client_receive_with(client, &reply, check_part, &check) ||
	    reply.kind != FRAME_REPLY)
		die("stream: a get of %s fails", key);
	if (reply.message.status)
		return false;
	if (reply.aborted || check.wrong || check.at != len ||
	    reply.message.length != len)
		die("stream: %s of %llu bytes comes back %s: %llu bytes, error %u", key,
		    (unsigned long long)len, check.wrong ? "wrong" : "cut",
		    (unsigned long long)check.at, reply.aborted);
	return true;
}

static void
must_get(struct client *client, const char *key, uint64_t number, uint64_t len)
{
	if (!get_value(client, key, number, len))
		die("stream: %s of %llu bytes is not there", key,
		    (unsigned long long)len);
}

static void delete (struct run *run, const char *key)
{
	struct client_reply reply;
	struct message message;

	name(&message, key);
	if (!client_ask(&run->client, COMMAND_DELETE, &message) ||
	    !client_receive(&run->client, &reply) || reply.kind != FRAME_REPLY ||
	    reply.message.status)
		die("stream: %s cannot be deleted", key);
}

/* ---- sizes */

/* Every size that is within two bytes of where the layout changes, for a key of this length. */
static size_t
list_sizes(uint64_t *to)
{
	static const uint64_t boundaries[] = {
		SMALL,      2 * SMALL, 3 * SMALL,        14 * SMALL,      15 * SMALL,
		16 * SMALL, BIG,       BIG + SMALL,      BIG + 2 * SMALL, 2 * BIG,
		15 * BIG,   16 * BIG,  16 * BIG + SMALL, 17 * BIG,        1 << 20,
		32 * BIG,   2 << 20,   131072,           65536,           4096,
	};
	size_t count = 0;

	to[count++] = 0;
	to[count++] = 1;
	/* Where a value leaves the leaf depends on its key and its expiry. */
	for (uint64_t size = 1880; size <= 2020; size++)
		to[count++] = size;
	for (size_t i = 0; i < sizeof(boundaries) / sizeof(boundaries[0]); i++)
		for (uint64_t size = boundaries[i] - 2; size <= boundaries[i] + 2; size++)
			to[count++] = size;
	return count;
}

static void
restart(struct run *run, int by)
{
	client_close(&run->client);
	daemon_end(&run->daemon, by);
	daemon_start(&run->daemon);
	daemon_client(&run->daemon, &run->client);
}

static void
every_size(struct run *run)
{
	static uint64_t sizes[512];
	size_t count = list_sizes(sizes);

	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < 2 * count; i++) {
			char key[32];
			uint64_t size = sizes[i / 2];

			snprintf(key, sizeof(key), "size-%zu", i);
			if (!again)
				must_put(run, key, i, size, i % 2);
			must_get(&run->client, key, i, size);
		}
		if (!again)
			restart(run, SIGTERM);
	}
	printf("stream: %zu sizes around every boundary, of announced and of unknown length, "
	       "are right before and after a restart\n",
	       count);
}

/* ---- one very large object */

static void *
look_all_the_while(void *arg)
{
	struct run *run = arg;
	struct timespec pause = { .tv_nsec = 5000000 };

	while (!run->ending) {
		uint64_t memory = daemon_memory(&run->daemon);

		if (memory > run->most_memory)
			run->most_memory = memory;
		if (memory > DAEMON_MEMORY_MAX)
			die("stream: the daemon holds %llu MiB",
			    (unsigned long long)(memory >> 20));
		nanosleep(&pause, NULL);
	}
	return NULL;
}

struct reader {
	struct run *run;
	pthread_t id;
	uint64_t number, len;
	_Atomic bool began;
	struct check check;
};

static void
check_and_tell(void *arg, const uint8_t *bytes, size_t len)
{
	struct reader *reader = arg;

	check_part(&reader->check, bytes, len);
	reader->began = true;
}

/* Reads the object whole, whatever becomes of its key meanwhile. */
static void *
read_it(void *arg)
{
	struct reader *reader = arg;
	struct client_reply reply;
	struct message message;
	struct client client;

	daemon_client(&reader->run->daemon, &client);
	name(&message, "huge");
	reader->check.number = reader->number;
	if (!client_ask(&client, COMMAND_GET, &message) ||
	    !client_receive_with(&client, &reply, check_and_tell, reader) ||
	    reply.kind != FRAME_REPLY)
		die("stream: a get of the large object fails");
	if (reply.message.status || reply.aborted || reader->check.wrong ||
	    reader->check.at != reader->len)
		die("stream: the object that was %s while it was read: %llu of %llu bytes, "
		    "status %d, error %u",
		    reader->check.wrong ? "wrong" : "cut",
		    (unsigned long long)reader->check.at, (unsigned long long)reader->len,
		    (int)reply.message.status, reply.aborted);
	client_close(&client);
	return NULL;
}

static void
start_readers(struct run *run, struct reader *readers, unsigned count, uint64_t number,
	      uint64_t len)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < count; i++) {
		readers[i] = (struct reader){ .run = run, .number = number, .len = len };
		pthread_create(&readers[i].id, NULL, read_it, &readers[i]);
	}
	for (unsigned i = 0; i < count; i++)
		while (!readers[i].began)
			nanosleep(&pause, NULL);
}

static void
end_readers(struct reader *readers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pthread_join(readers[i].id, NULL);
}

static double
timed(uint64_t from_us, uint64_t len)
{
	return (double)len / 1048576 / ((double)(now_us() - from_us) / 1e6);
}

static void
one_very_large(struct run *run, uint64_t len)
{
	struct reader readers[2];
	uint64_t began_us = now_us();

	must_put(run, "huge", 1000000, len, false);
	printf("stream: %llu MiB in at %.0f MiB/s", (unsigned long long)(len >> 20),
	       timed(began_us, len));
	began_us = now_us();
	must_get(&run->client, "huge", 1000000, len);
	printf(", out at %.0f MiB/s\n", timed(began_us, len));
	fflush(stdout);

	if (put_value(&run->client, "huge", 2000000, len, true, len / 2) != ERROR_ABORTED)
		die("stream: a put that was given up half way was not answered ABORTED");
	must_get(&run->client, "huge", 1000000, len);
	puts("stream: a source that fails half way leaves what was there");

	start_readers(run, readers, 2, 1000000, len);
	must_put(run, "huge", 3000000, len, true);
	end_readers(readers, 2);
	must_get(&run->client, "huge", 3000000, len);
	puts("stream: who reads an object while it is overwritten gets all of the old one");

	start_readers(run, readers, 2, 3000000, len);
	delete (run, "huge");
	if (get_value(&run->client, "huge", 3000000, len))
		die("stream: a deleted object is there");
	end_readers(readers, 2);
	puts("stream: who reads an object while it is deleted gets all of it");

	must_put(run, "huge", 4000000, len, false);
	restart(run, SIGKILL);
	must_get(&run->client, "huge", 4000000, len);
	puts("stream: acknowledged, it is there after kill -9");
}

/* The most that this process held. Not ru_maxrss, which begins with what the parent held at the fork. */
static uint64_t
own_memory(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	if (!kib)
		die("stream: /proc does not tell our memory");
	return (uint64_t)kib * 1024;
}

static void
check_memory(struct run *run)
{
	uint64_t own = own_memory();

	printf("stream: the daemon held at most %.1f MiB, this client %.1f MiB\n",
	       (double)run->most_memory / 1048576, (double)own / 1048576);
	if (own > CLIENT_MEMORY_MAX)
		die("stream: the client holds too much");
}

int
main(int count, char **arguments)
{
	static char max_size[64], max_value[64];
	static struct run run;
	uint64_t mib = count > 1 ? strtoull(arguments[1], NULL, 10) : 100;
	pthread_t looker;

	daemon_init(&run.daemon);
	snprintf(max_size, sizeof(max_size), "max_size=%lluM",
		 (unsigned long long)(mib * 24 / 5 + 1024));
	snprintf(max_value, sizeof(max_value), "max_value=%lluM",
		 (unsigned long long)(mib * 6 / 5 + 64));
	run.daemon.settings[0] = max_size;
	run.daemon.settings[1] = max_value;
	daemon_start(&run.daemon);
	daemon_client(&run.daemon, &run.client);
	pthread_create(&looker, NULL, look_all_the_while, &run);
	every_size(&run);
	one_very_large(&run, mib << 20);
	run.ending = true;
	pthread_join(looker, NULL);
	check_memory(&run);
	client_close(&run.client);
	if (daemon_end(&run.daemon, SIGTERM))
		die("stream: the daemon did not end well; see %s", run.daemon.log);
	daemon_done(&run.daemon);
	return 0;
}
