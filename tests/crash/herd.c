/* herd.c - thousands of connections wait for one key; one computes. How long after its publication the first
 * and the last of them have the value, and that they all have it.
 *
 *	build/crash/herd [CONNECTIONS [VALUE-BYTES]] */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "proto/bytes.h"
#include "tests/crash/daemon.h"

#define CONNECTIONS 5000
#define VALUE_BYTES 1024
#define SPARE_DESCRIPTORS 64
#define EVENTS 256
#define KEY "the one"

struct herd {
	struct client *clients;
	size_t *taken; /* bytes that each has read of its reply */
	unsigned count, done;
	size_t value_len;
	uint8_t *value;
	int epoll;
	uint64_t first_us, last_us;
};

static struct message
ask_for_it(void)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, KEY, key, slice(KEY, strlen(KEY)));
	MESSAGE_SET(&message, LEASE, lease, LEASE_WISH_COMPUTE);
	return message;
}

/* It waits: what was asked after it is answered first. */
static void
park(struct client *client)
{
	struct message get = ask_for_it(), ping = { 0 };
	struct client_reply reply;

	if (!client_ask(client, COMMAND_GET, &get) ||
	    !client_ask(client, COMMAND_PING, &ping) || !client_receive(client, &reply) ||
	    reply.message.present[1])
		die("somebody was not parked");
}

static void
gather_herd(struct herd *herd, const struct daemon *daemon)
{
	for (unsigned i = 0; i < herd->count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		if (!client_open(&herd->clients[i], daemon->socket))
			die("connection %u was refused; see %s", i, daemon->log);
		park(&herd->clients[i]);
		if (epoll_ctl(herd->epoll, EPOLL_CTL_ADD, herd->clients[i].fd, &event))
			die("epoll: %s", strerror(errno));
	}
}

/* The reply's head is the same length for all: what is known is how long the value is. */
static void
take(struct herd *herd, unsigned i)
{
	static uint8_t bytes[1 << 20];
	ssize_t got = recv(herd->clients[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t head;

	if (got <= 0)
		die("connection %u ended: %s", i, got ? strerror(errno) : "closed");
	if (herd->taken[i] == 0) {
		if (bytes[1] != FRAME_REPLY || got < FRAME_PREAMBLE_SIZE)
			die("connection %u got something else than the value", i);
		head = FRAME_PREAMBLE_SIZE + le32_load(bytes + 8);
		herd->taken[i] = (size_t)got - head;
		if (herd->taken[i] &&
		    memcmp(bytes + head, herd->value, herd->taken[i]) != 0)
			die("connection %u got wrong bytes at its begin", i);
	} else {
		if (memcmp(bytes, herd->value + herd->taken[i], (size_t)got) != 0)
			die("connection %u got %zd wrong bytes after %zu", i, got,
			    herd->taken[i]);
		herd->taken[i] += (size_t)got;
	}
	if (herd->taken[i] < herd->value_len)
		return;
	if (!herd->done++)
		herd->first_us = now_us();
	herd->last_us = now_us();
}

static void
run(struct herd *herd, const struct daemon *daemon, struct client *holder)
{
	struct message message = ask_for_it();
	struct client_reply reply;
	struct epoll_event events[EVENTS];
	uint64_t began_us, acknowledged_us, before, after;
	uint8_t token[16];

	if (!client_ask(holder, COMMAND_GET, &message) ||
	    !client_receive(holder, &reply) || reply.message.lease != LEASE_REPLY_GRANTED)
		die("the first was not granted the lease");
	memcpy(token, reply.message.token.data, sizeof(token));
	gather_herd(herd, daemon);
	before = daemon_memory(daemon);
	message = (struct message){ 0 };
	MESSAGE_SET(&message, KEY, key, slice(KEY, strlen(KEY)));
	MESSAGE_SET(&message, TOKEN, token, slice(token, sizeof(token)));
	began_us = now_us();
	if (!client_put(holder, &message, herd->value, herd->value_len) ||
	    !client_receive(holder, &reply) || reply.kind != FRAME_REPLY)
		die("the value was refused");
	acknowledged_us = now_us();
	while (herd->done < herd->count) {
		int ready = epoll_wait(herd->epoll, events, EVENTS, 60000);

		if (ready <= 0)
			die("%u of %u have the value; the others hang", herd->done,
			    herd->count);
		for (int i = 0; i < ready; i++)
			if (herd->taken[events[i].data.u32] < herd->value_len)
				take(herd, events[i].data.u32);
	}
	after = daemon_memory(daemon);
	printf("herd: %u waited for %zu bytes; acknowledged after %.1f ms; the first had "
	       "them after %.1f ms, the last after %.1f ms; daemon %.1f MiB with all of "
	       "them waiting, %.1f MiB after\n",
	       herd->count, herd->value_len, (double)(acknowledged_us - began_us) / 1e3,
	       (double)(herd->first_us - began_us) / 1e3,
	       (double)(herd->last_us - began_us) / 1e3, (double)before / (1 << 20),
	       (double)after / (1 << 20));
}

int
main(int count, char **arguments)
{
	struct herd herd = { .count = CONNECTIONS, .value_len = VALUE_BYTES };
	struct daemon daemon;
	struct client holder;
	struct rlimit limit;
	char setting[64];

	if (count > 1)
		herd.count = (unsigned)strtoul(arguments[1], NULL, 10);
	if (count > 2)
		herd.value_len = strtoul(arguments[2], NULL, 10);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (!herd.count || !herd.value_len || herd.value_len > FRAME_SEGMENT_MAX ||
	    limit.rlim_cur < herd.count + SPARE_DESCRIPTORS)
		die("usage: herd [CONNECTIONS [VALUE-BYTES]], with descriptors for all");
	herd.clients = calloc(herd.count, sizeof(*herd.clients));
	herd.taken = calloc(herd.count, sizeof(*herd.taken));
	herd.value = malloc(herd.value_len);
	herd.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < herd.value_len; i++)
		herd.value[i] = (uint8_t)(i * 2654435761u >> 13);
	daemon_init(&daemon);
	snprintf(setting, sizeof(setting), "max_connections=%u",
		 herd.count + SPARE_DESCRIPTORS);
	daemon.settings[0] = setting;
	daemon.settings[1] = "max_size=1G";
	daemon_start(&daemon);
	daemon_client(&daemon, &holder);
	run(&herd, &daemon, &holder);
	daemon_done(&daemon);
	return 0;
}
