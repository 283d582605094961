/* revoke.c - a million objects that are invalidated by one tag, or flushed: what the answer takes beside that of a
 * single put, and when the room is back. In figures beside each other from one run.
 *
 *	revoke [THOUSANDS]
 *
 * Fails only where something is wrong, not where it is slow. */
#include "tests/crash/daemon.h"

#define VALUE 100
#define WINDOW 1024
#define SAMPLES 300
#define LOOKS 2000
#define TAGS 20
/* Of `room`, the pages in use: this part of what the objects took may be left. */
#define LEFT_PART 20

struct run {
	struct daemon daemon;
	struct client client;
	uint64_t objects, state;
};

static void
must_reply(struct client *client, struct client_reply *reply)
{
	if (!client_receive(client, reply))
		die("revoke: the daemon closed the connection");
	if (reply->kind != FRAME_REPLY)
		die("revoke: error %d, %.*s", (int)reply->message.error,
		    (int)reply->message.text.len, (const char *)reply->message.text.data);
}

static void
ask(struct run *run, unsigned command, const struct message *message,
    struct client_reply *reply)
{
	if (!client_ask(&run->client, command, message))
		die("revoke: the daemon closed the connection");
	must_reply(&run->client, reply);
}

static void
send_put(struct run *run, const char *key, const char *tags, bool disk)
{
	static const uint8_t value[VALUE];
	struct message message = { 0 };

	MESSAGE_SET(&message, KEY, key, slice_text(key));
	if (tags)
		MESSAGE_SET(&message, TAGS, tags, slice_text(tags));
	if (disk)
		MESSAGE_SET(&message, ACK, ack, ACK_DISK);
	if (!client_put(&run->client, &message, value, VALUE))
		die("revoke: the daemon closed the connection");
}

/* All have the tag "all", and one of as many others. A tag in the field stands behind its length. */
static void
load(struct run *run)
{
	struct client_reply reply;
	struct message nothing = { 0 };
	uint64_t waiting = 0;
	char key[32], tags[32];

	for (uint64_t n = 0; n < run->objects; n++) {
		snprintf(key, sizeof(key), "object:%llu", (unsigned long long)n);
		snprintf(tags, sizeof(tags), "\3all\3t%02u", (unsigned)(n % TAGS));
		send_put(run, key, tags, false);
		waiting++;
		while (waiting >= WINDOW || client_readable(&run->client)) {
			must_reply(&run->client, &reply);
			waiting--;
		}
	}
	for (; waiting; waiting--)
		must_reply(&run->client, &reply);
	ask(run, COMMAND_SYNC, &nothing, &reply);
}

static int
compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

struct times {
	uint64_t us[1 << 16];
	size_t count;
};

static void
note(struct times *times, uint64_t began)
{
	if (times->count < sizeof(times->us) / sizeof(times->us[0]))
		times->us[times->count++] = now_us() - began;
}

static double
quantile_ms(struct times *times, double part)
{
	if (!times->count)
		return 0;
	qsort(times->us, times->count, sizeof(times->us[0]), compare);
	return (double)times->us[(size_t)((double)(times->count - 1) * part)] / 1000;
}

static void
put_one(struct run *run, struct times *times)
{
	uint64_t began = now_us();
	struct client_reply reply;

	send_put(run, "one", NULL, true);
	must_reply(&run->client, &reply);
	note(times, began);
}

static void
get_one(struct run *run, struct times *times)
{
	struct message message = { 0 };
	struct client_reply reply;
	uint64_t began = now_us();

	MESSAGE_SET(&message, KEY, key, slice_text("one"));
	ask(run, COMMAND_GET, &message, &reply);
	note(times, began);
	if (reply.message.status)
		die("revoke: an object that nobody touched is gone");
}

static void
take_away(struct run *run, const char *tag, struct times *times)
{
	struct message message = { 0 };
	struct client_reply reply;
	uint64_t began = now_us();

	if (tag)
		MESSAGE_SET(&message, TAGS, tags, slice_text(tag));
	ask(run, tag ? COMMAND_INVALIDATE : COMMAND_FLUSH, &message, &reply);
	note(times, began);
}

/* Which of the objects must be there now, and which must not. */
static void
check(struct run *run, bool half)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		uint64_t n = dice(&run->state, run->objects);
		struct message message = { 0 };
		struct client_reply reply;
		char key[32];

		snprintf(key, sizeof(key), "object:%llu", (unsigned long long)n);
		MESSAGE_SET(&message, KEY, key, slice_text(key));
		ask(run, COMMAND_GET, &message, &reply);
		if ((reply.message.status == 0) != (half && n % TAGS >= TAGS / 2))
			die("revoke: %s is %s", key,
			    reply.message.status ? "gone" : "there");
	}
}

static uint64_t
figure(struct run *run, const char *name)
{
	struct message nothing = { 0 };
	struct client_reply reply;

	ask(run, COMMAND_STATS, &nothing, &reply);
	return client_figure(&reply, name);
}

/* Until no more than a part of it is left. Gets and puts of somebody else are timed meanwhile. */
static double
wait_for_room(struct run *run, uint64_t empty, uint64_t full, bool half,
	      struct times *gets, struct times *puts)
{
	uint64_t began = now_us(), room = full - empty;

	/* Where half of the rows of every page go, few pages are free afterwards. */
	while (half ? figure(run, "invalidated_objects") < run->objects / 2
		    : figure(run, "used_bytes") > empty + room / LEFT_PART) {
		for (int i = 0; i < 20; i++)
			get_one(run, gets);
		put_one(run, puts);
		if (now_us() - began > 10 * DAEMON_HUNG_US)
			die("revoke: the room does not come back");
	}
	return (double)(now_us() - began) / 1e6;
}

static void
measure(struct run *run, const char *what, const char *tag, bool half)
{
	static struct times puts, others, this, gets_beside, puts_beside, gets;
	uint64_t empty, full;
	double took_s;

	puts.count = others.count = this.count = gets.count = 0;
	gets_beside.count = puts_beside.count = 0;
	daemon_init(&run->daemon);
	run->daemon.settings[0] = "max_size=4G";
	daemon_start(&run->daemon);
	daemon_client(&run->daemon, &run->client);
	put_one(run, &puts);
	empty = figure(run, "used_bytes");
	load(run);
	full = figure(run, "used_bytes");
	for (int i = 0; i < SAMPLES; i++) {
		put_one(run, &puts);
		get_one(run, &gets);
	}
	if (!half)
		take_away(run, tag, &this);
	for (unsigned i = 0; half && i < TAGS / 2; i++) {
		char field[8];

		snprintf(field, sizeof(field), "\3t%02u", i);
		take_away(run, field, &this);
	}
	if (!tag && !half)
		put_one(run, &puts_beside);
	check(run, half);
	took_s = wait_for_room(run, empty, full, half, &gets_beside, &puts_beside);
	printf("revoke: %s of %llu objects: %.2f ms, a single put %.2f ms (medians of %zu "
	       "and %d, both on the disk)\n",
	       what, (unsigned long long)run->objects, quantile_ms(&this, 0.5),
	       quantile_ms(&puts, 0.5), this.count, SAMPLES);
	printf("revoke: their room (%.0f MiB) is back after %.1f s; meanwhile a get takes "
	       "p50 %.3f p99 %.3f ms (before: %.3f, %.3f), a put p50 %.2f p99 %.2f ms "
	       "(before: %.2f, %.2f)\n",
	       (double)(full - figure(run, "used_bytes")) / 1048576, took_s,
	       quantile_ms(&gets_beside, 0.5), quantile_ms(&gets_beside, 0.99),
	       quantile_ms(&gets, 0.5), quantile_ms(&gets, 0.99),
	       quantile_ms(&puts_beside, 0.5), quantile_ms(&puts_beside, 0.99),
	       quantile_ms(&puts, 0.5), quantile_ms(&puts, 0.99));
	check(run, half);
	client_close(&run->client);
	if (daemon_end(&run->daemon, SIGTERM))
		die("revoke: the daemon did not end well; see %s", run->daemon.log);
	daemon_done(&run->daemon);
}

int
main(int count, char **arguments)
{
	static struct run run;

	run.objects = (count > 1 ? strtoull(arguments[1], NULL, 10) : 1000) * 1000;
	run.state = 88172645463325252;
	measure(&run, "invalidating the tag", "\3all", false);
	measure(&run, "invalidating ten tags, each of a twentieth", NULL, true);
	measure(&run, "flushing the namespace", NULL, false);
	return 0;
}
