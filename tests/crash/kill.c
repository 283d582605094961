/* kill.c - ends the daemon by kill -9 at random moments under load, starts it again, and looks for every
 * promise of what survives.
 *
 *	kill [ROUNDS [SEED]]
 *
 * Each thread has one connection, its own keys and a namespace that it flushes now and then; it sends
 * without waiting for answers. After the daemon's death all that it sent is in its history, in the order of
 * acceptance: what the daemon holds after the next start must be what some point of each key's history
 * left, not before the last operation that had to survive. */
#include <pthread.h>

#include "tests/crash/daemon.h"

#define THREADS 5
#define KEYS                                                                             \
	48 /* of one thread; the last FLUSHED_KEYS are in the namespace that is flushed */
#define FLUSHED_KEYS 8
#define WINDOW 48
#define OPS_MAX 100000 /* of one thread in one round */
#define VALUE_MAX (3u << 20)
#define COMMIT_DELAY_US 5000
#define MAGIC UINT64_C(0x454e4952424b494c)
#define NEVER_ACKED 0

enum kind {
	OP_PUT,
	OP_CAS, /* a put on the version that is known */
	OP_DELETE,
	OP_FLUSH,
	OP_GET,
	OP_SYNC,
};

struct op {
	enum kind kind;
	enum ack ack;
	bool answered;
	bool done; /* and it changed something */
	unsigned key;
	uint64_t counter;
	size_t len;
	uint64_t version;
	uint64_t sent_us, acked_us;
};

/* What a key holds, or may hold. */
struct content {
	bool there;
	uint64_t counter;
	size_t len;
	uint64_t version;
};

struct thread {
	struct run *run;
	unsigned number;
	pthread_t id;
	uint64_t state;
	struct client client;
	struct op *ops;
	size_t sent, answered;
	unsigned in_flight[KEYS];  /* operations that are not answered */
	bool in_doubt[KEYS];       /* one of them may be overtaken by others */
	struct content base[KEYS]; /* at the start of the round */
	struct content
		newest[KEYS];      /* as acknowledged; version 0 while it is not known */
	struct content seen[KEYS]; /* after the restart */
	uint64_t next_counter;
	uint8_t *value, *expected;
};

struct run {
	uint64_t seed, state;
	unsigned round;
	struct daemon daemon;
	struct thread threads[THREADS];
	struct client watcher;
	_Atomic bool ending;
	uint64_t longest_commit_us, stats_us, last_sync_us;
	uint64_t highest_version;
	/* Over all rounds. */
	uint64_t puts, acked_disk, acked_memory, lost, refused_cas, orderly, early;
	uint64_t oldest_lost_us, most_start_us;
};

__attribute__((noreturn, format(printf, 2, 3))) static void
wrong(const struct run *run, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	die("round %u, seed %llu: %s (everything is left in %s)", run->round,
	    (unsigned long long)run->seed, text, run->daemon.folder);
}

/* ---- values that say what they are: magic, key, counter, length, a pattern, a checksum */

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void
write_value(uint8_t *to, uint64_t name, uint64_t counter, size_t len)
{
	uint64_t words[4] = { MAGIC, name, counter, len },
		 sum = mix(name ^ counter ^ len);

	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = at / 8 < 4 ? words[at / 8] : mix(sum + at);
		size_t now = len - at < 8 ? len - at : 8;

		/* The last word is the sum of all before it. */
		if (len >= 48 && at + 8 >= len)
			word = mix(sum ^ at);
		memcpy(to + at, &word, now);
	}
}

static uint64_t
name_of(const struct thread *thread, unsigned key)
{
	return (uint64_t)thread->number << 32 | key;
}

static size_t
choose_len(struct thread *thread)
{
	static const size_t around[] = { 1,      32,      1900,    1940,   1966,
					 4056,   8112,    61000,   65496,  130992,
					 196488, 1047936, 1048576, 2095872 };

	if (dice(&thread->state, 250) == 0)
		return dice(&thread->state, VALUE_MAX);
	switch (dice(&thread->state, 24)) {
	case 0:
		return 0;
	case 1:
		return dice(&thread->state, 300000);
	case 2:
		return around[dice(&thread->state, 14)] + dice(&thread->state, 3) - 1;
	case 3:
		return dice(&thread->state, 70000);
	default:
		return dice(&thread->state, 2500);
	}
}

/* ---- requests */

static void
address(const struct thread *thread, unsigned key, struct message *message,
	char text[static 64], char space[static 32])
{
	snprintf(text, 64, "thread-%u-key-%u", thread->number, key);
	MESSAGE_SET(message, KEY, key, slice_text(text));
	if (key < KEYS - FLUSHED_KEYS)
		return;
	snprintf(space, 32, "flushed-%u", thread->number);
	MESSAGE_SET(message, NAMESPACE, namespace, slice_text(space));
}

static bool
send_put(struct thread *thread, struct op *op)
{
	struct message message = { 0 };
	char text[64], space[32];

	address(thread, op->key, &message, text, space);
	MESSAGE_SET(&message, ACK, ack, op->ack);
	if (dice(&thread->state, 4) == 0)
		MESSAGE_SET(&message, TTL, ttl_ms,
			    3600000 + dice(&thread->state, 1000000));
	if (op->kind == OP_CAS) {
		MESSAGE_SET(&message, CONDITION, condition, CONDITION_VERSION);
		MESSAGE_SET(&message, VERSION, version, thread->newest[op->key].version);
	}
	if (dice(&thread->state, 2))
		MESSAGE_SET(&message, LENGTH, length, op->len);
	write_value(thread->value, name_of(thread, op->key), op->counter, op->len);
	return client_put(&thread->client, &message, thread->value, op->len);
}

static bool
send_simple(struct thread *thread, const struct op *op)
{
	static const unsigned commands[] = { [OP_DELETE] = COMMAND_DELETE,
					     [OP_FLUSH] = COMMAND_FLUSH,
					     [OP_GET] = COMMAND_GET,
					     [OP_SYNC] = COMMAND_SYNC };
	struct message message = { 0 };
	char text[64], space[32];

	if (op->kind != OP_SYNC)
		address(thread, op->key, &message, text, space);
	if (op->kind == OP_FLUSH) {
		message.present[0] = 0;
		MESSAGE_SET(&message, NAMESPACE, namespace, slice_text(space));
	}
	if (op->ack && op->kind != OP_GET && op->kind != OP_SYNC)
		MESSAGE_SET(&message, ACK, ack, op->ack);
	return client_ask(&thread->client, commands[op->kind], &message);
}

static bool
acts_on(const struct op *op, unsigned key)
{
	if (op->kind == OP_FLUSH)
		return key >= KEYS - FLUSHED_KEYS;
	return op->kind != OP_GET && op->kind != OP_SYNC && op->key == key;
}

/* What it does depends on a look-up, which may have to wait for the disk: what is sent later may be accepted
 * earlier. */
static bool
may_be_overtaken(const struct op *op)
{
	return op->kind == OP_DELETE || op->kind == OP_CAS || op->kind == OP_GET;
}

static void
count_flight(struct thread *thread, const struct op *op, int by)
{
	for (unsigned key = 0; key < KEYS; key++)
		if (acts_on(op, key))
			thread->in_flight[key] += (unsigned)by;
}

static bool
flush_in_doubt(const struct thread *thread)
{
	bool doubt = false;

	for (unsigned key = KEYS - FLUSHED_KEYS; key < KEYS; key++)
		doubt |= thread->in_doubt[key];
	return doubt;
}

/* What the next operation is. One whose outcome depends on the past, or shows it, waits for a key
 * with nothing under way. */
static struct op
choose(struct thread *thread)
{
	struct op op = { .key = (unsigned)dice(&thread->state, KEYS),
			 .ack = (enum ack)dice(&thread->state, 3) };
	unsigned what = (unsigned)dice(&thread->state, 1000);
	bool quiet = thread->in_flight[op.key] == 0;

	if (thread->in_doubt[op.key]) {
		op.kind = OP_SYNC;
		return op;
	}
	if (what < 80 && quiet)
		op.kind = OP_DELETE;
	else if (what < 85 && !flush_in_doubt(thread))
		op.kind = OP_FLUSH;
	else if (what < 90)
		op.kind = OP_SYNC;
	else if (what < 200 && quiet)
		op.kind = OP_GET;
	else if (what < 300 && quiet && thread->newest[op.key].there)
		op.kind = OP_CAS;
	else
		op.kind = OP_PUT;
	if (op.kind == OP_FLUSH)
		op.key = KEYS - 1;
	if (op.kind == OP_PUT || op.kind == OP_CAS) {
		op.counter = ++thread->next_counter;
		op.len = choose_len(thread);
	}
	return op;
}

/* ---- answers */

static bool
is_content(struct thread *thread, unsigned key, const struct content *content,
	   const uint8_t *bytes, size_t len)
{
	if (!content->there || content->len != len)
		return false;
	write_value(thread->expected, name_of(thread, key), content->counter, len);
	return len == 0 || memcmp(thread->expected, bytes, len) == 0;
}

/* Between two answers of a key with nothing else under way only one value is right. */
static void
check_get(struct thread *thread, const struct op *op, const struct client_reply *reply)
{
	const struct content *newest = &thread->newest[op->key];
	bool hit = !reply->message.status;

	if (thread->in_flight[op->key])
		return; /* something was sent behind it */
	if (hit != newest->there)
		wrong(thread->run, "key %u of thread %u: a get answers %s under load",
		      op->key, thread->number, hit ? "a hit" : "a miss");
	if (hit && (reply->message.version != newest->version || reply->aborted ||
		    !is_content(thread, op->key, newest, reply->body, reply->len)))
		wrong(thread->run,
		      "key %u of thread %u: a get gives wrong bytes under "
		      "load",
		      op->key, thread->number);
}

/* After everything about a key was answered, the last one sent is what counts. */
static void
settle_newest(struct thread *thread, unsigned key)
{
	if (thread->in_flight[key])
		return;
	for (size_t i = thread->sent; i-- > 0;) {
		const struct op *op = &thread->ops[i];

		if (!acts_on(op, key) || !op->done)
			continue;
		thread->newest[key] = (struct content){
			.there = op->kind == OP_PUT || op->kind == OP_CAS,
			.counter = op->counter,
			.len = op->len,
			.version = op->version,
		};
		return;
	}
}

static void
answer(struct thread *thread, const struct client_reply *reply)
{
	struct op *op;

	if (reply->id == 0 || reply->id > thread->sent || reply->kind == FRAME_GOAWAY)
		return;
	op = &thread->ops[reply->id - 1];
	if (op->answered)
		wrong(thread->run, "two answers to request %u", reply->id);
	count_flight(thread, op, -1);
	if (reply->kind == FRAME_ERROR && reply->message.error != ERROR_SHUTTING_DOWN)
		wrong(thread->run, "request %u of kind %d: error %d, %.*s", reply->id,
		      op->kind, (int)reply->message.error, (int)reply->message.text.len,
		      (const char *)reply->message.text.data);
	op->answered = true;
	op->done = reply->kind == FRAME_REPLY && !reply->message.status;
	op->version = reply->message.version;
	op->acked_us = now_us();
	thread->answered++;
	if (may_be_overtaken(op))
		thread->in_doubt[op->key] = false;
	if (op->kind == OP_GET && reply->kind == FRAME_REPLY)
		check_get(thread, op, reply);
	if (op->kind == OP_SYNC || op->kind == OP_GET)
		op->done = op->kind == OP_SYNC && op->done;
	else
		for (unsigned key = 0; key < KEYS; key++)
			if (acts_on(op, key))
				settle_newest(thread, key);
}

static void *
load(void *arg)
{
	struct thread *thread = arg;
	struct client_reply reply;

	while (!thread->run->ending && thread->sent < OPS_MAX) {
		struct op *op = &thread->ops[thread->sent];

		*op = choose(thread);
		op->sent_us = now_us();
		count_flight(thread, op, 1);
		if (may_be_overtaken(op))
			thread->in_doubt[op->key] = true;
		thread->sent++;
		if (op->kind == OP_PUT || op->kind == OP_CAS ? !send_put(thread, op)
							     : !send_simple(thread, op))
			break;
		while (thread->sent - thread->answered >= WINDOW ||
		       (thread->sent != thread->answered &&
			client_readable(&thread->client))) {
			if (!client_receive(&thread->client, &reply))
				return NULL;
			answer(thread, &reply);
		}
	}
	/* What the daemon had said before it died counts. */
	while (client_receive(&thread->client, &reply))
		answer(thread, &reply);
	return NULL;
}

/* Asks for the longest commit; that an answer came shows how long the present one takes at most. */
static void *
watch(void *arg)
{
	struct run *run = arg;
	struct message nothing = { 0 };
	struct client_reply reply;
	struct timespec pause = { .tv_nsec = 10000000 };

	while (!run->ending) {
		uint64_t asked_us = now_us();

		if (!client_ask(&run->watcher, COMMAND_STATS, &nothing) ||
		    !client_receive(&run->watcher, &reply) || reply.kind != FRAME_REPLY)
			break;
		run->longest_commit_us = client_figure(&reply, "longest_commit_us");
		if (client_figure(&reply, "evicted_objects"))
			wrong(run, "something was evicted from a store with room");
		if (client_figure(&reply, "damaged_rows"))
			wrong(run, "a row does not match its checksum");
		run->stats_us = asked_us;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- after the restart */

static void
look(struct run *run, struct thread *thread, struct client *client)
{
	struct client_reply reply;
	char text[64], space[32];

	for (unsigned key = 0; key < KEYS; key++) {
		struct message message = { 0 };
		struct content *seen = &thread->seen[key];

		*seen = (struct content){ .there = false };
		address(thread, key, &message, text, space);
		if (!client_ask(client, COMMAND_GET, &message) ||
		    !client_receive(client, &reply) || reply.kind != FRAME_REPLY)
			wrong(run, "a get fails after the restart");
		if (reply.message.status)
			continue;
		if (reply.aborted)
			wrong(run, "key %u of thread %u is damaged: error %u", key,
			      thread->number, reply.aborted);
		seen->there = true;
		seen->version = reply.message.version;
		seen->len = reply.len;
		if (reply.len >= 24)
			memcpy(&seen->counter, reply.body + 16, 8);
		/* Short values do not say their counter: the history does. */
		if (thread->base[key].there && thread->base[key].version == seen->version)
			seen->counter = thread->base[key].counter;
		for (size_t i = 0; reply.len < 24 && i < thread->sent; i++) {
			const struct op *op = &thread->ops[i];
			struct content content = { true, op->counter, op->len, 0 };

			if (acts_on(op, key) && op->kind <= OP_CAS &&
			    (!op->version || op->version == seen->version) &&
			    is_content(thread, key, &content, reply.body, reply.len))
				seen->counter = op->counter;
		}
		if (!is_content(thread, key, seen, reply.body, reply.len))
			wrong(run,
			      "key %u of thread %u has wrong bytes: %zu of them, "
			      "counter %llu",
			      key, thread->number, reply.len,
			      (unsigned long long)seen->counter);
		if (seen->version > run->highest_version)
			run->highest_version = seen->version;
	}
}

/* Does this operation leave the key as it was seen? */
static bool
leaves(const struct op *op, const struct content *seen)
{
	if (op->kind == OP_DELETE || op->kind == OP_FLUSH)
		return !seen->there;
	return seen->there && seen->counter == op->counter && seen->len == op->len &&
	       (!op->answered || op->version == seen->version);
}

static bool
same(const struct content *a, const struct content *b)
{
	return a->there == b->there && (!a->there || (a->version == b->version));
}

/* The highest version that survived: nothing accepted before it may be missing. */
static uint64_t
newest_survivor(const struct run *run)
{
	uint64_t highest = 0;

	for (const struct thread *at = run->threads; at < run->threads + THREADS; at++)
		for (unsigned key = 0; key < KEYS; key++)
			if (at->seen[key].there && at->seen[key].version > highest)
				highest = at->seen[key].version;
	return highest;
}

static bool
acked_from_disk(const struct op *op)
{
	return op->ack == ACK_DISK ||
	       (!op->ack && (op->kind == OP_DELETE || op->kind == OP_FLUSH)) ||
	       op->len > FRAME_SEGMENT_MAX || op->kind == OP_SYNC;
}

/* What decides if an acknowledged operation had to survive. */
struct line {
	uint64_t old_us; /* acknowledged before this: time has passed */
	uint64_t
		survivor; /* a version that is there: nothing with a lower one may be missing */
	uint64_t before_us; /* acknowledged before one was sent that had to survive */
};

static bool
had_to_survive(const struct op *op, const struct line *line)
{
	if (!op->answered || !op->done)
		return false;
	return acked_from_disk(op) || op->acked_us < line->old_us ||
	       (op->version && op->version <= line->survivor) ||
	       op->acked_us < line->before_us;
}

/* Its place in the order is that in which it was sent, and it has one: a flush of what was never put changes
 * nothing, and is answered at once. */
static bool
holds_the_order(const struct op *op)
{
	return !may_be_overtaken(op) && op->kind != OP_FLUSH;
}

/* Up to which of a thread's operations everything has to be there, counted from 1. */
static size_t
must_survive(struct run *run, const struct thread *thread, const struct line *line)
{
	size_t must = 0;

	for (size_t i = 0; i < thread->sent; i++) {
		const struct op *op = &thread->ops[i];

		if (!op->answered || !op->done)
			continue;
		run->acked_disk += acked_from_disk(op);
		run->acked_memory += !acked_from_disk(op);
		if (had_to_survive(op, line) && holds_the_order(op))
			must = i + 1;
	}
	return must;
}

static void
draw_line(const struct run *run, struct line *line)
{
	for (const struct thread *at = run->threads; at < run->threads + THREADS; at++)
		for (size_t i = 0; i < at->sent; i++)
			if (at->ops[i].sent_us > line->before_us &&
			    at->ops[i].kind != OP_FLUSH &&
			    had_to_survive(&at->ops[i], line))
				line->before_us = at->ops[i].sent_us;
}

static void
compare(struct run *run, struct thread *thread, unsigned key, size_t must,
	const struct line *line, uint64_t dead_us)
{
	const struct content *seen = &thread->seen[key];
	bool right = same(seen, &thread->base[key]);
	const struct op *last = NULL; /* what has to be there of this key */

	for (size_t i = 0; i < thread->sent; i++) {
		const struct op *op = &thread->ops[i];

		if (!acts_on(op, key) || (op->answered && !op->done))
			continue;
		if (had_to_survive(op, line) || (i < must && !may_be_overtaken(op))) {
			right = false;
			last = op;
		}
		if (leaves(op, seen))
			right = true;
		if (op->version > seen->version && !had_to_survive(op, line)) {
			run->lost++;
			if (op->acked_us < dead_us &&
			    dead_us - op->acked_us > run->oldest_lost_us)
				run->oldest_lost_us = dead_us - op->acked_us;
		}
	}
	if (right)
		return;
	for (size_t i = 0; i < thread->sent; i++) {
		const struct op *op = &thread->ops[i];

		if (acts_on(op, key))
			fprintf(stderr,
				"%c %zu: kind %d ack %d len %zu counter %llu: %s version "
				"%llu, sent %.1f ms and answered %.1f ms before the kill\n",
				op == last ? '*' : ' ', i + 1, op->kind, op->ack, op->len,
				(unsigned long long)op->counter,
				!op->answered ? "no answer"
				: op->done    ? "done"
					      : "not done",
				(unsigned long long)op->version,
				((double)dead_us - (double)op->sent_us) / 1000,
				op->answered
					? ((double)dead_us - (double)op->acked_us) / 1000
					: 0);
	}
	wrong(run,
	      "key %u of thread %u: all up to %zu of %zu requests had to survive, and the "
	      "one with the star; but there is %s counter %llu, version %llu",
	      key, thread->number, must, thread->sent,
	      seen->there ? "a value with" : "nothing:",
	      (unsigned long long)seen->counter, (unsigned long long)seen->version);
}

/* A version whose put was lost is nobody's any more, and is never given out again. */
static void
try_lost_versions(struct run *run, struct thread *thread, struct client *client)
{
	struct client_reply reply;
	unsigned tried = 0;

	for (size_t i = thread->sent; i-- > 0 && tried < 4;) {
		const struct op *op = &thread->ops[i];
		struct message message = { 0 };
		char text[64], space[32];

		if (op->kind > OP_CAS || !op->done ||
		    op->version <= thread->seen[op->key].version)
			continue;
		tried++;
		address(thread, op->key, &message, text, space);
		MESSAGE_SET(&message, CONDITION, condition, CONDITION_VERSION);
		MESSAGE_SET(&message, VERSION, version, op->version);
		if (!client_put(client, &message, (const uint8_t *)"wrong", 5) ||
		    !client_receive(client, &reply))
			wrong(run, "a put fails after the restart");
		if (reply.kind != FRAME_ERROR || (reply.message.error != ERROR_CHANGED &&
						  reply.message.error != ERROR_ABSENT))
			wrong(run, "a put on the version of a lost put was accepted");
		run->refused_cas++;
	}
}

static void
check_new_version(struct run *run, struct client *client)
{
	struct message message = { 0 };
	struct client_reply reply;

	MESSAGE_SET(&message, KEY, key, slice_text("version"));
	if (!client_put(client, &message, (const uint8_t *)"", 0) ||
	    !client_receive(client, &reply) || reply.kind != FRAME_REPLY)
		wrong(run, "a put fails after the restart");
	if (reply.message.version <= run->highest_version)
		wrong(run, "version %llu was given out after %llu",
		      (unsigned long long)reply.message.version,
		      (unsigned long long)run->highest_version);
}

static void
verify(struct run *run, uint64_t dead_us, bool orderly)
{
	uint64_t stalled_us = dead_us - run->stats_us;
	uint64_t longest_us =
		run->longest_commit_us > stalled_us ? run->longest_commit_us : stalled_us;
	uint64_t bound_us = COMMIT_DELAY_US + 2 * longest_us, started_us = now_us();
	struct line line = { .old_us = orderly ? UINT64_MAX : dead_us - bound_us };
	struct client client;

	daemon_start(&run->daemon);
	daemon_client(&run->daemon, &client);
	if (now_us() - started_us > run->most_start_us)
		run->most_start_us = now_us() - started_us;
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++) {
		for (size_t i = 0; i < at->sent; i++) {
			if (at->ops[i].version > run->highest_version)
				run->highest_version = at->ops[i].version;
			run->puts += at->ops[i].kind <= OP_CAS;
		}
		look(run, at, &client);
	}
	line.survivor = newest_survivor(run);
	draw_line(run, &line);
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++) {
		size_t must = must_survive(run, at, &line);

		for (unsigned key = 0; key < KEYS; key++)
			compare(run, at, key, must, &line, dead_us);
		try_lost_versions(run, at, &client);
	}
	check_new_version(run, &client);
	client_close(&client);
}

/* ---- rounds */

static void
start_round(struct run *run)
{
	run->ending = false;
	run->longest_commit_us = 0;
	run->stats_us = now_us();
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++) {
		memcpy(at->base, at->seen, sizeof(at->base));
		memcpy(at->newest, at->seen, sizeof(at->newest));
		memset(at->in_flight, 0, sizeof(at->in_flight));
		memset(at->in_doubt, 0, sizeof(at->in_doubt));
		at->sent = at->answered = 0;
		daemon_client(&run->daemon, &at->client);
	}
	daemon_client(&run->daemon, &run->watcher);
}

static void
random_pause(struct run *run, uint64_t most_us)
{
	uint64_t us = dice(&run->state, most_us);
	struct timespec pause = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };

	nanosleep(&pause, NULL);
}

/* Now and then it dies while it starts, too. */
static void
die_while_starting(struct run *run)
{
	daemon_start(&run->daemon);
	random_pause(run, 20000);
	daemon_end(&run->daemon, SIGKILL);
	run->early++;
}

static void
play_round(struct run *run)
{
	bool orderly = dice(&run->state, 12) == 0;
	uint64_t dead_us;
	pthread_t watcher;
	int status;

	start_round(run);
	pthread_create(&watcher, NULL, watch, run);
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++)
		pthread_create(&at->id, NULL, load, at);
	random_pause(run, dice(&run->state, 4) ? 250000 : 1000000);
	dead_us = now_us();
	status = daemon_end(&run->daemon, orderly ? SIGTERM : SIGKILL);
	if (orderly && (!WIFEXITED(status) || WEXITSTATUS(status)))
		wrong(run, "after SIGTERM the daemon ends with status %#x", status);
	run->ending = true;
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++)
		pthread_join(at->id, NULL);
	pthread_join(watcher, NULL);
	for (struct thread *at = run->threads; at < run->threads + THREADS; at++)
		client_close(&at->client);
	client_close(&run->watcher);
	run->orderly += orderly;
	if (dice(&run->state, 10) == 0)
		die_while_starting(run);
	verify(run, dead_us, orderly);
}

static void
start(struct run *run)
{
	struct client client;

	daemon_init(&run->daemon);
	run->daemon.settings[0] = "max_size=1G";
	run->daemon.settings[1] = "max_value=8M";
	daemon_start(&run->daemon);
	daemon_client(&run->daemon, &client);
	client_close(&client);
	for (unsigned i = 0; i < THREADS; i++) {
		struct thread *thread = &run->threads[i];

		thread->run = run;
		thread->number = i;
		thread->state = mix(run->seed + i) | 1;
		thread->ops = calloc(OPS_MAX, sizeof(*thread->ops));
		thread->value = malloc(VALUE_MAX + 8);
		thread->expected = malloc(VALUE_MAX + 8);
		if (!thread->ops || !thread->value || !thread->expected)
			die("no memory");
	}
}

int
main(int count, char **arguments)
{
	unsigned rounds = count > 1 ? (unsigned)strtoul(arguments[1], NULL, 10) : 1000;
	static struct run run;

	run.seed = count > 2 ? strtoull(arguments[2], NULL, 10) : now_us();
	run.state = mix(run.seed) | 1;
	printf("kill: %u rounds, seed %llu\n", rounds, (unsigned long long)run.seed);
	fflush(stdout);
	start(&run);
	for (run.round = 1; run.round <= rounds; run.round++) {
		play_round(&run);
		if (run.round % 50 == 0)
			printf("kill: %u rounds, %llu puts\n", run.round,
			       (unsigned long long)run.puts);
		fflush(stdout);
	}
	daemon_done(&run.daemon);
	printf("kill: %u rounds (%llu by SIGTERM, %llu more killed while starting): %llu "
	       "puts sent, %llu changes acknowledged from the disk and %llu from memory; "
	       "nothing wrong. %llu acknowledged from memory were lost, the oldest %.1f ms "
	       "after its acknowledgement; %llu puts on lost versions refused; longest "
	       "start %.1f ms\n",
	       rounds, (unsigned long long)run.orderly, (unsigned long long)run.early,
	       (unsigned long long)run.puts, (unsigned long long)run.acked_disk,
	       (unsigned long long)run.acked_memory, (unsigned long long)run.lost,
	       (double)run.oldest_lost_us / 1000, (unsigned long long)run.refused_cas,
	       (double)run.most_start_us / 1000);
	return 0;
}
