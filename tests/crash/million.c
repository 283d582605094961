/* million.c - ten million objects of 100 bytes: what they cost, in figures beside each other from one run.
 *
 *	million [MILLIONS]
 *
 * Fails only where something is wrong, not where it is slow. */
#include <pthread.h>

#include "tests/crash/daemon.h"

#define FEW 10000
#define VALUE 100
#define WINDOW 1024
#define GETS 100000
#define WRITERS 50
#define WRITE_SECONDS 10

struct run {
	struct daemon daemon;
	struct client client;
	uint64_t objects, state;
	_Atomic uint64_t written;
	_Atomic bool ending;
};

static void
write_value(uint8_t to[static VALUE], uint64_t n)
{
	for (size_t at = 0; at < VALUE; at += 4) {
		uint32_t word = (uint32_t)((n + at) * 2654435761u);

		memcpy(to + at, &word, 4);
	}
}

static void
name(uint64_t n, struct message *message, char text[static 32])
{
	snprintf(text, 32, "object:%llu", (unsigned long long)n);
	MESSAGE_SET(message, KEY, key, slice_text(text));
}

static void
must_reply(struct client *client, struct client_reply *reply)
{
	if (!client_receive(client, reply))
		die("million: the daemon closed the connection");
	if (reply->kind != FRAME_REPLY)
		die("million: error %d, %.*s", (int)reply->message.error,
		    (int)reply->message.text.len, (const char *)reply->message.text.data);
}

static void
load(struct run *run, uint64_t from, uint64_t to)
{
	uint64_t waiting = 0, began = now_us();
	struct client_reply reply;
	uint8_t value[VALUE];

	for (uint64_t n = from; n < to; n++) {
		struct message message = { 0 };
		char text[32];

		name(n, &message, text);
		write_value(value, n);
		if (!client_put(&run->client, &message, value, VALUE))
			die("million: the daemon closed the connection");
		waiting++;
		while (waiting >= WINDOW || client_readable(&run->client)) {
			must_reply(&run->client, &reply);
			waiting--;
		}
		if (n % 1000000 == 0 && n)
			fprintf(stderr, "million: %llu million after %.0f s\n",
				(unsigned long long)(n / 1000000),
				(double)(now_us() - began) / 1e6);
	}
	for (; waiting; waiting--)
		must_reply(&run->client, &reply);
}

static void
ask(struct run *run, unsigned command, struct client_reply *reply)
{
	struct message nothing = { 0 };

	if (!client_ask(&run->client, command, &nothing))
		die("million: the daemon closed the connection");
	must_reply(&run->client, reply);
}

static int
compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One blocking client, random keys of the first `objects`. In microseconds. */
static void
measure_gets(struct run *run, uint64_t objects, double *ret_p50, double *ret_p99)
{
	static uint64_t took[GETS];
	uint8_t expected[VALUE];

	for (unsigned i = 0; i < GETS; i++) {
		uint64_t n = dice(&run->state, objects), from = now_ns();
		struct message message = { 0 };
		struct client_reply reply;
		char text[32];

		name(n, &message, text);
		if (!client_ask(&run->client, COMMAND_GET, &message))
			die("million: the daemon closed the connection");
		must_reply(&run->client, &reply);
		took[i] = now_ns() - from;
		write_value(expected, n);
		if (reply.message.status || reply.len != VALUE ||
		    memcmp(reply.body, expected, VALUE) != 0)
			die("million: object %llu is %s", (unsigned long long)n,
			    reply.message.status ? "not there" : "wrong");
	}
	qsort(took, GETS, sizeof(took[0]), compare);
	*ret_p50 = (double)took[GETS / 2] / 1000;
	*ret_p99 = (double)took[GETS / 100 * 99] / 1000;
}

/* From exec to the first value; what that was after an orderly end, and after kill -9. */
static double
measure_start(struct run *run, int by)
{
	struct client_reply reply;
	uint64_t began;
	double p50, p99;

	client_close(&run->client);
	daemon_end(&run->daemon, by);
	began = now_us();
	daemon_start(&run->daemon);
	daemon_client(&run->daemon, &run->client);
	ask(run, COMMAND_PING, &reply);
	began = now_us() - began;
	measure_gets(run, run->objects, &p50, &p99);
	return (double)began / 1000;
}

struct writer {
	struct run *run;
	pthread_t id;
	unsigned number;
	uint64_t objects;
};

static void *
write_to_disk(void *arg)
{
	struct writer *writer = arg;
	struct run *run = writer->run;
	uint64_t state = (writer->number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	struct client client;
	uint8_t value[VALUE];

	daemon_client(&run->daemon, &client);
	while (!run->ending) {
		uint64_t n = dice(&state, writer->objects);
		struct message message = { 0 };
		struct client_reply reply;
		char text[32];

		name(n, &message, text);
		MESSAGE_SET(&message, ACK, ack, ACK_DISK);
		write_value(value, n);
		if (!client_put(&client, &message, value, VALUE))
			die("million: the daemon closed the connection");
		must_reply(&client, &reply);
		run->written++;
	}
	client_close(&client);
	return NULL;
}

static double
measure_writers(struct run *run, uint64_t objects)
{
	struct writer writers[WRITERS];
	struct timespec time = { .tv_sec = WRITE_SECONDS };
	uint64_t began = now_us();

	run->written = 0;
	run->ending = false;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] =
			(struct writer){ .run = run, .number = i, .objects = objects };
		pthread_create(&writers[i].id, NULL, write_to_disk, &writers[i]);
	}
	nanosleep(&time, NULL);
	run->ending = true;
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].id, NULL);
	return (double)run->written / ((double)(now_us() - began) / 1e6);
}

int
main(int count, char **arguments)
{
	static struct run run;
	double few_p50, few_p99, many_p50, many_p99, few_rate, many_rate, orderly_ms,
		killed_ms;
	uint64_t began, took;
	struct client_reply reply;

	run.objects = (count > 1 ? strtoull(arguments[1], NULL, 10) : 10) * 1000000;
	run.state = 88172645463325252;
	daemon_init(&run.daemon);
	run.daemon.settings[0] = "max_size=12G";
	daemon_start(&run.daemon);
	daemon_client(&run.daemon, &run.client);
	load(&run, 0, FEW);
	ask(&run, COMMAND_SYNC, &reply);
	measure_gets(&run, FEW, &few_p50, &few_p99);
	few_rate = measure_writers(&run, FEW);
	began = now_us();
	load(&run, FEW, run.objects);
	ask(&run, COMMAND_SYNC, &reply);
	took = now_us() - began;
	printf("million: %llu million objects of %d bytes loaded at %.0f a second\n",
	       (unsigned long long)(run.objects / 1000000), VALUE,
	       (double)(run.objects - FEW) / ((double)took / 1e6));
	ask(&run, COMMAND_STATS, &reply);
	if (client_figure(&reply, "evicted_objects"))
		die("million: something was evicted");
	printf("million: %.2f GiB in use, du %.2f GiB; longest commit %.1f ms\n",
	       (double)client_figure(&reply, "used_bytes") / (1 << 30),
	       (double)daemon_du(&run.daemon) / (1 << 30),
	       (double)client_figure(&reply, "longest_commit_us") / 1000);
	measure_gets(&run, run.objects, &many_p50, &many_p99);
	measure_gets(&run, run.objects, &many_p50, &many_p99);
	printf("million: get p50 %.1f us, p99 %.1f us; at ten thousand objects %.1f and "
	       "%.1f: %.2f times the p50\n",
	       many_p50, many_p99, few_p50, few_p99, many_p50 / few_p50);
	ask(&run, COMMAND_STATS, &reply);
	printf("million: %.1f %% of these gets waited for a reader\n",
	       100 * (double)client_figure(&reply, "cold_reads") / (3 * GETS));
	many_rate = measure_writers(&run, run.objects);
	printf("million: %d connections, ack=disk, random keys: %.0f a second; at ten "
	       "thousand objects %.0f\n",
	       WRITERS, many_rate, few_rate);
	printf("million: the daemon's memory is %.0f MiB\n",
	       (double)daemon_memory(&run.daemon) / 1048576);
	orderly_ms = measure_start(&run, SIGTERM);
	killed_ms = measure_start(&run, SIGKILL);
	printf("million: from exec to the first answer %.1f ms after an orderly end, %.1f ms "
	       "after kill -9\n",
	       orderly_ms, killed_ms);
	client_close(&run.client);
	if (daemon_end(&run.daemon, SIGTERM))
		die("million: the daemon did not end well; see %s", run.daemon.log);
	daemon_done(&run.daemon);
	return 0;
}
