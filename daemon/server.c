/* server.c - one libuv loop: connections, the cache's turns, timers, signals, and the end.
 * Owns the loop and everything on it. Loop thread. */
#include "daemon/server.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

#include "daemon/announce.h"
#include "daemon/clock.h"
#include "daemon/conns.h"
#include "daemon/door.h"
#include "daemon/log.h"
#include "daemon/settings.h"
#include "daemon/watchdog.h"

/* How long the last answers may take to be read. */
#define GRACE_MS 2000
/* Descriptors that are not clients': the store's, the log's, the loop's. */
#define DESCRIPTORS_OWN 64
#define READY "READY=1\nSTATUS=Serving"
#define NS_PER_US 1000

struct server {
	const struct server_setup *setup;
	uv_loop_t loop;
	struct sessions sessions;
	struct conns *conns;
	struct door door;
	struct watchdog watchdog;
	struct announcer announcer;
	uv_poll_t wake;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t busy; /* running while there is work that waits for no event */
	uv_timer_t deadline, sweep, idle_exit, grace;
	uv_signal_t terminate, interrupt, hang_up;
	uint64_t deadline_ns;
	bool leaving;
	bool synced; /* what was acknowledged is on the disk, or the cache said why not */
	enum server_end end;
};

/* ---- limits */

static unsigned
descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;
	return limit.rlim_cur > 1 << 30 ? 1 << 30 : (unsigned)limit.rlim_cur;
}

static struct conns_limits
limits_of(const struct conf *conf)
{
	unsigned descriptors = descriptor_limit();
	unsigned most = descriptors > 2 * DESCRIPTORS_OWN ? descriptors - DESCRIPTORS_OWN
							  : descriptors / 2;
	struct conns_limits limits = {
		.connections = conf->max_connections,
		.receive_size = conf->receive_size,
		.idle_timeout_ns = conf->idle_timeout_ns,
	};

	if (limits.connections > most) {
		log_warning("max_connections is %u, but %u descriptors allow %u; raise "
			    "LimitNOFILE or ulimit -n",
			    limits.connections, descriptors, most);
		limits.connections = most;
		limits.scarce = true;
	}
	return limits;
}

/* ---- the end */

static void
on_synced(void *arg, uint32_t id, const struct answer *answer)
{
	struct server *server = arg;

	(void)id;
	if (answer->kind == ANSWER_ERROR)
		log_error("what was acknowledged last is not on the disk: %s",
			  answer->text ? answer->text : error_text((int)answer->error));
	server->synced = true;
}

static void
on_grace_over(uv_timer_t *timer)
{
	struct server *server = timer->data;

	log_info("%u clients did not take their last answers",
		 conns_count(server->conns));
	uv_stop(&server->loop);
}

/* No new requests; answers what was accepted, writes it to the disk, and leaves. */
static void
leave(struct server *server, const char *why)
{
	struct later later = { .answered = on_synced, .arg = server };
	struct answer answer = { 0 };

	if (server->leaving) {
		log_info("%s again: leaving at once", why);
		uv_stop(&server->loop);
		return;
	}
	server->leaving = true;
	announce(
		&server->announcer,
		"STOPPING=1\nSTATUS=Answering what was asked, and leaving" NOTIFY_PATIENCE);
	log_info("%s: answering %u clients and leaving", why, conns_count(server->conns));
	door_close(&server->door);
	conns_leave(server->conns);
	if (cache_sync(server->sessions.cache, server->sessions.own_uid, &later,
		       &answer) == CACHE_NOW)
		on_synced(server, 0, &answer);
	uv_timer_start(&server->grace, on_grace_over, GRACE_MS, 0);
}

static void
lose(struct server *server, const char *why)
{
	log_error("the store cannot be used any more: %s; starting anew", why);
	server->end = SERVER_LOST;
	if (!server->leaving)
		door_close(&server->door);
	conns_leave(server->conns);
	server->leaving = true;
	uv_stop(&server->loop);
}

/* ---- timers */

static void
on_deadline(uv_timer_t *timer)
{
	struct server *server = timer->data;

	server->deadline_ns = UINT64_MAX;
	conns_turn_begin(server->conns); /* ended before the loop sleeps */
}

/* Timers have milliseconds, and must not be early. */
static void
arm_deadline(struct server *server)
{
	uint64_t deadline_ns = cache_deadline_ns(server->sessions.cache);
	uint64_t now_ns;

	if (deadline_ns == server->deadline_ns)
		return;
	server->deadline_ns = deadline_ns;
	if (deadline_ns == UINT64_MAX) {
		uv_timer_stop(&server->deadline);
		return;
	}
	now_ns = clock_mono_ns();
	uv_update_time(&server->loop);
	uv_timer_start(&server->deadline, on_deadline,
		       deadline_ns <= now_ns ? 0 : (deadline_ns - now_ns) / 1000000 + 1,
		       0);
}

static void
on_sweep(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (!conns_sweep(server->conns))
		uv_timer_stop(timer);
}

static void
on_idle_exit(uv_timer_t *timer)
{
	struct server *server = timer->data;

	if (!conns_count(server->conns))
		leave(server, "nobody has been connected for idle_exit");
}

static void
arm_idle_exit(struct server *server)
{
	uint64_t ms = server->setup->conf->idle_exit_ns / 1000000;
	bool wanted = ms && !server->leaving && !conns_count(server->conns);
	bool armed = uv_is_active((uv_handle_t *)&server->idle_exit);

	if (wanted == armed)
		return;
	if (wanted)
		uv_timer_start(&server->idle_exit, on_idle_exit, ms, 0);
	else
		uv_timer_stop(&server->idle_exit);
}

/* ---- turns */

static void
on_busy(uv_idle_t *idle)
{
	(void)idle; /* it only keeps the loop from sleeping */
}

/* Before the loop sleeps, and after the events that woke it. */
static void
turn(struct server *server)
{
	const char *lost;
	bool more;

	if (server->sessions.successor && !server->leaving)
		leave(server, "a newer daemon takes over");
	more = conns_turn(server->conns);
	lost = cache_lost(server->sessions.cache);
	if (lost && server->end != SERVER_LOST)
		lose(server, lost);
	if (more != uv_is_active((uv_handle_t *)&server->busy)) {
		if (more)
			uv_idle_start(&server->busy, on_busy);
		else
			uv_idle_stop(&server->busy);
	}
	if (conns_owing(server->conns) && !uv_is_active((uv_handle_t *)&server->sweep))
		uv_timer_start(&server->sweep, on_sweep, CONNS_SWEEP_MS, CONNS_SWEEP_MS);
	arm_deadline(server);
	arm_idle_exit(server);
	if (server->leaving && server->synced && !conns_count(server->conns))
		uv_stop(&server->loop);
}

static void
on_prepare(uv_prepare_t *prepare)
{
	turn(prepare->data);
}

static void
on_check(uv_check_t *check)
{
	turn(check->data);
}

static void
on_wake(uv_poll_t *poll, int status, int events)
{
	struct server *server = poll->data;

	(void)status;
	(void)events;
	conns_turn_begin(server->conns);
	cache_wake(server->sessions.cache);
}

/* ---- signals */

static void
on_changed(const struct conf_item *item, void *arg)
{
	(void)arg;
	if (item->live)
		log_info("%s is now %s", item->name, item->value);
	else
		log_warning("%s = %s: only the next start takes it", item->name,
			    item->value);
}

static void
on_section(const char *section, const char *what, void *arg)
{
	(void)arg;
	log_info("%s %s", section, what);
}

static void
read_again(struct server *server)
{
	const struct server_setup *setup = server->setup;
	struct conf *conf = malloc(sizeof(*conf));
	struct conns_limits limits;
	struct cache_config config;
	struct conf_error error;

	if (!conf || setup->reload(conf, &error, setup->arg)) {
		log_error("the configuration stays as it was: %s",
			  conf ? error.text : "out of memory");
		free(conf);
		return;
	}
	log_info("read the configuration again");
	conf_reload_diff(setup->conf, conf, on_changed, NULL);
	conf_tenants_diff(&setup->conf->tenants, &conf->tenants, on_section, NULL);
	*setup->conf = *conf;
	free(conf);
	log_set_level((enum log_level)setup->conf->log_level);
	limits = limits_of(setup->conf);
	conns_configure(server->conns, &limits);
	config = settings_cache(setup->conf, setup->data);
	conns_turn_begin(server->conns);
	cache_configure(server->sessions.cache, &config);
	sessions_review(&server->sessions);
	uv_timer_stop(&server->idle_exit);
}

static void
reload(struct server *server)
{
	if (server->leaving)
		return;
	announce(&server->announcer,
		 "RELOADING=1\nMONOTONIC_USEC=%" PRIu64
		 "\nSTATUS=Reading the configuration",
		 clock_mono_ns() / NS_PER_US);
	read_again(server);
	announce(&server->announcer, READY);
}

static void
on_signal(uv_signal_t *handle, int number)
{
	struct server *server = handle->data;

	if (number == SIGHUP)
		reload(server);
	else
		leave(server, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- building up and taking down */

static int
watch_cache(struct server *server)
{
	int result = uv_poll_init(&server->loop, &server->wake,
				  cache_wake_fd(server->setup->cache));

	server->wake.data = server;
	return result ? result : uv_poll_start(&server->wake, UV_READABLE, on_wake);
}

static int
handle_signal(struct server *server, uv_signal_t *handle, int number)
{
	int result = uv_signal_init(&server->loop, handle);

	handle->data = server;
	return result ? result : uv_signal_start(handle, on_signal, number);
}

static void
add_handles(struct server *server)
{
	uv_timer_t *timers[] = { &server->deadline, &server->sweep, &server->idle_exit,
				 &server->grace };

	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		uv_timer_init(&server->loop, timers[i]);
		timers[i]->data = server;
	}
	uv_prepare_init(&server->loop, &server->prepare);
	uv_check_init(&server->loop, &server->check);
	uv_idle_init(&server->loop, &server->busy);
	server->prepare.data = server->check.data = server->busy.data = server;
	uv_prepare_start(&server->prepare, on_prepare);
	uv_check_start(&server->check, on_check);
}

/* Returns 0 or libuv's error. */
static int
build(struct server *server)
{
	const struct server_setup *setup = server->setup;
	struct conns_limits limits = limits_of(setup->conf);
	int result;

	server->conns = conns_new(&server->loop, &server->sessions, &limits);
	if (!server->conns)
		return UV_ENOMEM;
	add_handles(server);
	announce_init(&server->announcer, &server->loop);
	watchdog_start(&server->watchdog, &server->loop, setup->cache, server->conns);
	result = watch_cache(server);
	if (!result)
		result = door_open(&server->door, &server->loop, server->conns);
	if (!result)
		result = handle_signal(server, &server->terminate, SIGTERM);
	if (!result)
		result = handle_signal(server, &server->interrupt, SIGINT);
	if (!result)
		result = handle_signal(server, &server->hang_up, SIGHUP);
	return result;
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
take_down(struct server *server)
{
	const struct server_setup *setup = server->setup;
	struct cache *cache = setup->cache;

	if (server->conns) {
		conns_close_all(server->conns);
		while (conns_turn(server->conns))
			;
	}
	uv_walk(&server->loop, close_handle, NULL);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	CHECK(!uv_loop_close(&server->loop));
	conns_free(&server->conns);
	door_done(&server->door);
	cache_close(&cache);
	sessions_done(&server->sessions);
}

enum server_end
server_run(const struct server_setup *setup)
{
	struct server *server = calloc(1, sizeof(*server));
	enum server_end end;
	int result;

	CHECK(server);
	server->setup = setup;
	server->deadline_ns = UINT64_MAX;
	server->sessions.cache = setup->cache;
	server->sessions.data = setup->data;
	server->sessions.release = setup->release;
	server->sessions.makes_room = setup->makes_room;
	server->sessions.own_uid = geteuid();
	server->sessions.conf = setup->conf;
	server->sessions.usermap = *setup->usermap;
	if (!setup->usermap->whole)
		log_warning(
			"this is a user namespace that does not map every uid to itself, so "
			"several users could look like one: only uid %u is served; to serve "
			"others, run outside of it (in a unit: without PrivateUsers=)",
			(unsigned)server->sessions.own_uid);
	server->sessions.counters.started_ns = clock_mono_ns();
	door_init(&server->door, setup->listeners, setup->listener_count);
	CHECK(!uv_loop_init(&server->loop));
	result = build(server);
	if (result) {
		log_error("cannot start: %s", uv_strerror(result));
		server->end = SERVER_FAILED;
	} else {
		pthread_sigmask(SIG_SETMASK, setup->signals, NULL);
		announce(&server->announcer, READY);
		uv_run(&server->loop, UV_RUN_DEFAULT);
	}
	take_down(server);
	end = server->end;
	free(server);
	return end;
}
