/* main.c - the daemon's command line, its start and its end. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/cache.h"
#include "daemon/handover.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/place.h"
#include "daemon/server.h"
#include "daemon/settings.h"
#include "daemon/usermap.h"

#define LISTENERS_MAX (LISTENER_ADOPTED_MAX + PLACE_SOCKETS_MAX)
#define SETTINGS_MAX 256
/* A predecessor that leaves needs its grace and its last commit; it does not listen any more. One that
 * was killed may do so until the kernel has taken it down. */
#define LOCK_WAIT_MS 3000
#define LOCK_WAIT_LISTENING_MS 300
/* Unless the configuration says something else. */
#define AUTOMATIC_IDLE_EXIT "15m"
/* Freed memory that a thread keeps: two commits at their largest. Blocks over the other bound, which no part of a
 * value and no row comes near, have a mapping each and keep nothing. */
#define MEMORY_KEPT_MAX (32 << 20)
#define MEMORY_MAPPED_MIN (4 << 20)

enum {
	EXIT_USAGE = 2,
};

/* What the command line says. */
struct arguments {
	const char *config; /* NULL: the user's own file, if there is one */
	/* Assignments in their order: an option's own name, or NULL for --set name=value. */
	struct {
		const char *name;
		const char *value;
	} settings[SETTINGS_MAX];
	unsigned setting_count;
	bool check;
	bool automatic;
	bool adopt;
};

static const char usage[] =
	"usage: brined [--config FILE] [--socket PATH] [--data DIR] [--set name=value]...\n"
	"              [--adopt] [--automatic] [--check-config] [--version]\n"
	"\n"
	"The Brine cache daemon. It runs in the foreground and logs to standard error.\n"
	"\n"
	"  --config FILE      read FILE instead of ~/.config/brine/brined.conf\n"
	"  --socket PATH      listen at PATH, too\n"
	"  --data DIR         keep the data in DIR, and listen at brine.sock in it\n"
	"  --set name=value   set an option of brined.conf(5)\n"
	"  --adopt            take over a store that was written on another machine\n"
	"  --automatic        make room for a newer release, and leave after 15 minutes\n"
	"                     without clients; for daemons that clients start\n"
	"  --check-config     read the configuration, say what is wrong, and leave\n"
	"  --version          print the version and leave\n"
	"  --help             print this and leave\n";

__attribute__((noreturn)) static void
usage_error(void)
{
	fputs("Try 'brined --help'.\n", stderr);
	exit(EXIT_USAGE);
}

static void
add_setting(struct arguments *arguments, const char *name, const char *value)
{
	if (arguments->setting_count == SETTINGS_MAX) {
		fputs("brined: too many options\n", stderr);
		usage_error();
	}
	arguments->settings[arguments->setting_count].name = name;
	arguments->settings[arguments->setting_count++].value = value;
}

static void
parse(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "data", required_argument, NULL, 'd' },
		{ "set", required_argument, NULL, 'o' },
		{ "adopt", no_argument, NULL, 't' },
		{ "automatic", no_argument, NULL, 'a' },
		{ "check-config", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments->config = optarg;
			break;
		case 's':
			add_setting(arguments, "socket", optarg);
			break;
		case 'd':
			add_setting(arguments, "data", optarg);
			break;
		case 'o':
			add_setting(arguments, NULL, optarg);
			break;
		case 't':
			arguments->adopt = true;
			break;
		case 'a':
			arguments->automatic = true;
			break;
		case 'k':
			arguments->check = true;
			break;
		case 'v':
			puts("brined " BRINE_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			usage_error(); /* getopt_long() has said what was wrong */
		}
	}
	if (optind < argc) {
		fprintf(stderr, "brined: unexpected argument '%s'\n", argv[optind]);
		usage_error();
	}
}

/* ---- configuration */

static int
read_files(struct conf *conf, const char *named, struct conf_error *error)
{
	char path[CONF_PATH_MAX], folder[CONF_PATH_MAX + 2];

	if (named)
		snprintf(path, sizeof(path), "%s", named);
	else if (place_config(path))
		return 0;
	if ((named || !access(path, F_OK)) && conf_read_file(conf, path, error))
		return -1;
	snprintf(folder, sizeof(folder), "%s.d", path);
	return conf_read_folder(conf, folder, error);
}

static int
apply_settings(struct conf *conf, const struct arguments *arguments,
	       struct conf_error *error)
{
	for (unsigned i = 0; i < arguments->setting_count; i++) {
		const char *name = arguments->settings[i].name;
		const char *value = arguments->settings[i].value;
		char origin[32];

		snprintf(origin, sizeof(origin), "--%s", name ? name : "set");
		if (name ? conf_set_option(conf, name, value, origin, error)
			 : conf_set(conf, value, origin, error))
			return -1;
	}
	return 0;
}

static int
read_configuration(struct conf *ret_conf, struct conf_error *error, void *arg)
{
	const struct arguments *arguments = arg;

	conf_defaults(ret_conf);
	if ((arguments->automatic &&
	     conf_set_option(ret_conf, "idle_exit", AUTOMATIC_IDLE_EXIT, "--automatic",
			     error)) ||
	    read_files(ret_conf, arguments->config, error) ||
	    apply_settings(ret_conf, arguments, error))
		return -1;
	return conf_check(ret_conf, error);
}

/* At the start; does not return when something is wrong. */
static void
configure(struct conf *conf, const struct arguments *arguments)
{
	struct conf_error error;

	/* The command line alone first: what is wrong there is a matter of usage. */
	conf_defaults(conf);
	if (apply_settings(conf, arguments, &error)) {
		fprintf(stderr, "brined: %s\n", error.text);
		usage_error();
	}
	if (read_configuration(conf, &error, (void *)arguments)) {
		fprintf(stderr, "brined: %s\n", error.text);
		exit(EXIT_FAILURE);
	}
}

/* ---- start */

static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("cannot raise the limit of descriptors: %m");
}

/* What one commit or transfer has freed, the next one takes again. By its own defaults malloc() gives it back to
 * the kernel each time, and then each page is a fault and is cleared anew: half of what a put of 8 MB costs and
 * most of what a get of it does. */
static void
keep_freed_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, MEMORY_MAPPED_MIN);
	mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT_MAX);
}

static bool
is_adopted(const char *path, const struct listener *listeners, unsigned adopted)
{
	for (unsigned i = 0; i < adopted; i++)
		if (!strcmp(listeners[i].path, path))
			return true;
	return false;
}

/* Opens what must be open, besides what a service manager listens at already; what else cannot be is said.
 * Returns how many, or -1, said. */
static int
listen_everywhere(const struct place *place, struct listener *listeners, unsigned adopted)
{
	unsigned count = adopted;
	char error[LISTENER_ERROR_MAX];

	for (unsigned i = 0; i < place->socket_count; i++) {
		const struct place_socket *socket = &place->sockets[i];

		if (is_adopted(socket->path, listeners, adopted))
			continue;
		if (!listener_open(&listeners[count], socket->path, error)) {
			count++;
			continue;
		}
		log_write(socket->wanted ? LOG_ERROR : LOG_WARNING, "%s", error);
		if (socket->wanted) {
			while (count)
				listener_close(&listeners[--count]);
			return -1;
		}
	}
	return (int)count;
}

static void
say_started(const struct place *place, const struct listener *listeners, int count)
{
	char where[LOG_LINE_MAX] = "";
	size_t len = 0;

	for (int i = 0; i < count && len < sizeof(where); i++)
		len += (size_t)snprintf(where + len, sizeof(where) - len, "%s%s",
					i ? " and " : "", listeners[i].path);
	log_info("brined %s: data in %s, listening at %s", BRINE_VERSION, place->data,
		 where);
}

static uint32_t
release_number(void)
{
	unsigned major = 0, minor = 0, patch = 0;

	if (sscanf(BRINE_VERSION, "%u.%u.%u", &major, &minor, &patch) < 2)
		return 0;
	return major << 16 | minor << 8 | patch;
}

/* Serves one store until it ends. */
static enum server_end
serve(struct conf *conf, const struct place *place, struct listener *listeners,
      unsigned adopted, struct arguments *arguments)
{
	struct cache_config config = settings_cache(conf, place->data);
	struct server_setup setup = { .conf = conf,
				      .data = place->data,
				      .release = release_number(),
				      .makes_room = arguments->automatic,
				      .listeners = listeners,
				      .reload = read_configuration,
				      .arg = arguments };
	char error[CACHE_ERROR_MAX];
	struct usermap usermap;
	sigset_t every, before;
	unsigned wait_ms;
	int count;

	config.adopt = arguments->adopt;
	usermap_read(&usermap);
	setup.usermap = &usermap;
	/* The cache's threads inherit the mask; the loop lifts it when it handles signals. What a fault
	 * raises must reach its handler in every thread. */
	sigfillset(&every);
	sigdelset(&every, SIGBUS);
	sigdelset(&every, SIGSEGV);
	sigdelset(&every, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	/* Said once: nothing until READY takes longer the more is stored. There is a lock to wait for, LOCK_WAIT_MS at most, a
	 * damaged store's file to delete, a row of each namespace to read, and a commit or two to flush. */
	notify_wait("STATUS=Opening the store" NOTIFY_PATIENCE);
	wait_ms = listener_alive(place->socket) ? LOCK_WAIT_LISTENING_MS : LOCK_WAIT_MS;
	if (cache_open(&config, wait_ms, &setup.cache, error)) {
		log_error("%s", error);
		return SERVER_FAILED;
	}
	/* The cache's lock says that we are the daemon of this directory: a socket in it is a dead one's. */
	count = listen_everywhere(place, listeners, adopted);
	if (count < 0) {
		cache_close(&setup.cache);
		return SERVER_FAILED;
	}
	setup.listener_count = (unsigned)count;
	setup.signals = &before;
	say_started(place, listeners, count);
	return server_run(&setup);
}

/* A service manager's daemon comes before one that a client started, whatever its release: clients ask at the
 * manager's socket first. One that was started by hand does not ask: its user sees that there is another. */
static enum handover
ask_for_place(const struct place *place, const struct arguments *arguments,
	      const struct listener *listeners, unsigned adopted)
{
	if (adopted && !is_adopted(place->socket, listeners, adopted))
		return handover_ask(place->socket, HANDOVER_ANY_RELEASE);
	if (arguments->automatic)
		return handover_ask(place->socket, release_number());
	return HANDOVER_NOBODY;
}

static int
run(struct conf *conf, struct arguments *arguments)
{
	static struct listener listeners[LISTENERS_MAX];
	static struct place place;
	char error[PLACE_ERROR_MAX];
	enum server_end end;
	int adopted;
	bool stays;

	adopted = listener_adopt(listeners, error);
	if (adopted < 0 || place_choose(conf, &place, error)) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	if (place.avoided[0])
		log_warning(
			"%s is on %s, where the database could be damaged: the data is in "
			"%s instead",
			place.avoided, place.avoided_type, place.data);
	stays = ask_for_place(&place, arguments, listeners, (unsigned)adopted) ==
		HANDOVER_STAYS;
	if (stays && arguments->automatic) {
		log_info("brined %s: %s has its daemon already", BRINE_VERSION,
			 place.data);
		return EXIT_SUCCESS;
	}
	end = serve(conf, &place, listeners, (unsigned)adopted, arguments);
	while (end == SERVER_LOST) {
		/* The sockets of a service manager went with the server: it starts us anew. */
		if (adopted)
			return EXIT_FAILURE;
		if (place_choose(conf, &place, error)) {
			log_error("%s", error);
			return EXIT_FAILURE;
		}
		end = serve(conf, &place, listeners, 0, arguments);
	}
	if (end == SERVER_STOPPED)
		log_info("brined %s: stopped", BRINE_VERSION);
	return end == SERVER_STOPPED ? 0 : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static struct arguments arguments;
	static struct conf conf;

	parse(argc, argv, &arguments);
	configure(&conf, &arguments);
	if (arguments.check) {
		puts("brined: the configuration is fine");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	log_set_level((enum log_level)conf.log_level);
	raise_descriptors();
	keep_freed_memory();
	return run(&conf, &arguments);
}
