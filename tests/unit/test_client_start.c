/* test_client_start.c - where a client looks, and the daemon that it starts when nobody is there.
 *
 * The started daemon is this program itself: run as a daemon is run ("--automatic") it takes a lock in
 * BRINE_DATA, listens there, answers HELLO and PING, and leaves when its directory has gone. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "client/brine.h"
#include "client/handle.h"
#include "client/link.h"
#include "client/locate.h"
#include "client/start.h"
#include "tests/unit/fake.h"

/* ---- the daemon that is started */

static int
log_facts(void)
{
	char here[PATH_MAX];
	struct stat st;
	int extra = 0;
	mode_t mask = umask(077);
	sigset_t blocked;

	for (int fd = 3; fd < 64; fd++)
		extra += fcntl(fd, F_GETFD) >= 0;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	/* What a daemon may not inherit. */
	if (extra || mask != 077 || !getcwd(here, sizeof(here)) ||
	    strcmp(here, "/") != 0 || getpid() == getsid(0) || tcgetsid(0) != -1 ||
	    fstat(0, &st) || getenv("LEAKED") || sigismember(&blocked, SIGUSR1) ||
	    signal(SIGPIPE, SIG_DFL) != SIG_DFL) {
		fprintf(stderr, "inherited: %d descriptors, umask %o, %s\n", extra, mask,
			here);
		return 1;
	}
	return 0;
}

static int
daemon_main(void)
{
	const char *folder = getenv("BRINE_DATA");
	struct fake fake;
	int lock;

	prctl(PR_SET_PDEATHSIG, 0);
	alarm(60);
	if (!folder || chdir("/") || log_facts())
		return 1;
	if (access("/dev/null", F_OK) || strstr(folder, "broken")) {
		if (!strstr(folder, "mute"))
			fprintf(stderr, "first line\nbrined: the disk is on fire\n\n");
		return 1;
	}
	if (chdir(folder))
		return 1;
	lock = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (flock(lock, LOCK_EX | LOCK_NB)) {
		fprintf(stderr, "another daemon has this directory\n");
		return 1;
	}
	close(open("starts", O_WRONLY | O_CREAT | O_APPEND, 0600));
	lock = open("starts", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (write(lock, "x", 1) != 1)
		return 1;
	fake_start(&fake, folder, NULL);
	while (access(folder, F_OK) == 0)
		poll(NULL, 0, 20);
	_exit(0);
}

/* ---- a private home */

struct home {
	char path[64];
	char data[128];
	char own[PATH_MAX];
};

static void
home_make(struct home *home)
{
	strcpy(home->path, "/tmp/brine-home-XXXXXX");
	assert_non_null(mkdtemp(home->path));
	snprintf(home->data, sizeof(home->data), "%s/data", home->path);
	assert_true(readlink("/proc/self/exe", home->own, sizeof(home->own) - 1) > 0);
	home->own[readlink("/proc/self/exe", home->own, sizeof(home->own) - 1)] = 0;
	setenv("HOME", home->path, 1);
	setenv("BRINE_DATA", home->data, 1);
	setenv("LEAKED", "yes", 1);
	unsetenv("BRINE_SOCKET");
	unsetenv("BRINE_AUTOSTART");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("XDG_RUNTIME_DIR");
}

static void
home_remove(struct home *home)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", home->path);
	assert_int_equal(system(command), 0);
	unsetenv("BRINE_DATA");
}

static off_t
size_of(const struct home *home, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", home->data, name);
	return stat(path, &st) ? -1 : st.st_size;
}

static struct brine *
open_starting(const struct home *home)
{
	struct brine_options options = { .autostart = 1,
					 .daemon = home->own,
					 .retry_ms = 1 };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

/* There may be a system's daemon on this machine: then nothing is started. */
static bool
system_daemon(void)
{
	return access(LOCATE_SYSTEM_SOCKET, F_OK) == 0;
}

static void
nothing_is_started_unless_the_option_asks(void **state)
{
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	assert_int_equal(brine_open(NULL, &brine), 0);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), home.data));
	brine_close(&brine);
	setenv("BRINE_AUTOSTART", "0", 1);
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	brine_close(&brine);
	assert_int_equal(size_of(&home, "."), -1); /* not even the directory was made */
	home_remove(&home);
}

static void
a_started_daemon_inherits_nothing_and_answers_the_first_call(void **state)
{
	struct home home;
	struct brine *brine;
	sigset_t blocked, before;
	int leak;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	leak = open("/dev/zero", O_RDONLY); /* without O_CLOEXEC */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	brine = open_starting(&home);
	if (brine_ping(brine, NULL))
		fail_msg("%s", brine_message(brine));
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it is nobody's child */
	assert_int_equal(size_of(&home, "starts"), 1);
	assert_int_equal(size_of(&home, "brined.log"), 0);
	brine_close(&brine);
	close(leak);
	home_remove(&home);
}

static void
who_may_not_wait_is_told_that_a_daemon_is_to_be_started(void **state)
{
	struct home home;
	struct brine *brine;
	int fd;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	brine = open_starting(&home);
	assert_int_equal(brine_connect(brine, 0, &fd), -BRINE_ERROR_BUSY);
	assert_int_equal(size_of(&home, "starts"), -1);
	if (brine_connect(brine, 1, &fd))
		fail_msg("%s", brine_message(brine));
	assert_int_equal(size_of(&home, "starts"), 1);
	close(fd);
	assert_int_equal(brine_connect(brine, 0, &fd), BRINE_DONE);
	close(fd);
	brine_close(&brine);
	home_remove(&home);
}

static void
fifty_callers_get_one_daemon(void **state)
{
	struct home home;
	pid_t pids[50];
	int status, failed = 0;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	for (int i = 0; i < 50; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct brine *brine = open_starting(&home);

			/* One call waits for a second at most, which a loaded machine may need more than. */
			while (brine_ping(brine, NULL))
				if (strstr(brine_message(brine), "does not answer yet") ==
				    NULL)
					_exit(fprintf(stderr, "%s\n",
						      brine_message(brine)) != 0);
			brine_close(&brine);
			_exit(0);
		}
	}
	for (int i = 0; i < 50; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		failed += status != 0;
	}
	assert_int_equal(failed, 0);
	assert_int_equal(size_of(&home, "starts"), 1);
	home_remove(&home);
}

static void
a_failed_start_quotes_the_log_and_is_not_tried_again_at_once(void **state)
{
	struct home home;
	struct brine *brine;
	off_t log;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	strcat(home.data, "-broken");
	setenv("BRINE_DATA", home.data, 1);
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "the disk is on fire"));
	assert_non_null(strstr(brine_message(brine), home.own));
	brine_close(&brine);
	log = size_of(&home, "brined.log");
	assert_true(log > 0);
	brine = open_starting(&home); /* as another process would */
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "the disk is on fire"));
	assert_non_null(strstr(brine_message(brine), "s ago"));
	assert_int_equal(size_of(&home, "brined.log"), log);
	brine_close(&brine);
	home_remove(&home);
}

static void
a_start_that_left_no_word_is_told_without_one(void **state)
{
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	strcat(home.data, "-broken-mute");
	setenv("BRINE_DATA", home.data, 1);
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "ended at once, with nothing in"));
	assert_null(strstr(brine_message(brine), "\"\""));
	brine_close(&brine);
	home_remove(&home);
}

static void
a_data_directory_that_is_no_absolute_path_is_told_and_no_other_taken(void **state)
{
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	setenv("BRINE_DATA", "data", 1);
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(
		strstr(brine_message(brine), "BRINE_DATA is not an absolute path: data"));
	brine_close(&brine);
	home_remove(&home);
}

static void
a_data_directory_that_cannot_be_made_says_how_to_name_another(void **state)
{
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	setenv("BRINE_DATA", "/proc/brine", 1); /* where not even root makes one */
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "with BRINE_DATA"));
	brine_close(&brine);
	home_remove(&home);
}

static void
a_program_that_cannot_run_is_named(void **state)
{
	struct brine_options options = { .autostart = 1,
					 .daemon = "/nonexistent/brined" };
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "/nonexistent/brined"));
	brine_close(&brine);
	options.daemon = "brined";
	assert_int_equal(brine_open(&options, &brine), -BRINE_ERROR_BAD_ARGUMENT);
	home_remove(&home);
}

static void
an_environment_that_is_too_long_fails_the_start_and_closes_nothing(void **state)
{
	char folder[2 * PATH_MAX];
	struct home home;
	struct brine *brine;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	memset(folder, 'x', sizeof(folder));
	folder[0] = '/';
	folder[sizeof(folder) - 1] = 0;
	setenv("XDG_CONFIG_HOME", folder, 1);
	brine = open_starting(&home);
	unsetenv("XDG_CONFIG_HOME");
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), strerror(ENAMETOOLONG)));
	assert_true(fcntl(0, F_GETFD) >= 0);
	brine_close(&brine);
	home_remove(&home);
}

static void
a_long_log_is_rotated_before_a_start(void **state)
{
	struct home home;
	struct brine *brine;
	char path[256];
	int fd;

	(void)state;
	if (system_daemon())
		skip();
	home_make(&home);
	assert_int_equal(mkdir(home.data, 0700), 0);
	snprintf(path, sizeof(path), "%s/brined.log", home.data);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	brine = open_starting(&home);
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(size_of(&home, "brined.log.1"), 1 << 20);
	assert_int_equal(size_of(&home, "brined.log"), 0);
	brine_close(&brine);
	home_remove(&home);
}

/* ---- where a client looks */

static void
locate(const char *system_socket, struct places *ret_places)
{
	struct locate_env env;

	assert_int_equal(locate_read(NULL, &env), 0);
	env.system_socket = system_socket;
	locate_places(&env, geteuid(), ret_places);
	locate_free(&env);
}

static void
the_order_is_runtime_then_data_then_system(void **state)
{
	struct home home;
	struct places places;
	char runtime[128], path[256];

	(void)state;
	home_make(&home);
	unsetenv("BRINE_DATA");
	snprintf(runtime, sizeof(runtime), "%s/run", home.path);
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	locate("/nonexistent", &places);
	assert_int_equal(places.count, 1);
	assert_int_equal(places.at[0].kind, PLACE_DATA);
	snprintf(path, sizeof(path), "%s/.cache/brine/brine.sock", home.path);
	assert_string_equal(places.at[0].path, path);
	assert_int_equal(mkdir(runtime, 0700), 0);
	snprintf(path, sizeof(path), "%s/brine", runtime);
	assert_int_equal(mkdir(path, 0700), 0);
	locate("/", &places); /* exists: whatever it is */
	assert_int_equal(places.count, 3);
	assert_int_equal(places.at[0].kind, PLACE_RUNTIME);
	assert_int_equal(places.at[1].kind, PLACE_DATA);
	assert_int_equal(places.at[2].kind, PLACE_SYSTEM);
	setenv("XDG_CACHE_HOME", home.path, 1);
	locate("/nonexistent", &places);
	assert_int_equal(places.count, 1);
	snprintf(path, sizeof(path), "%s/brine/brine.sock", home.path);
	assert_string_equal(places.at[0].path, path);
	setenv("BRINE_DATA", home.data, 1);
	locate("/nonexistent", &places);
	assert_string_equal(places.data, home.data);
	setenv("XDG_CACHE_HOME", "relative", 1); /* counts as not set */
	unsetenv("BRINE_DATA");
	locate("/nonexistent", &places);
	assert_int_equal(places.at[0].kind, PLACE_RUNTIME);
	setenv("BRINE_SOCKET", "/some/where", 1);
	locate("/", &places);
	assert_int_equal(places.count, 1);
	assert_int_equal(places.at[0].kind, PLACE_GIVEN);
	unsetenv("BRINE_SOCKET");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CACHE_HOME");
	home_remove(&home);
}

static void
directories_of_another_uid_count_as_absent(void **state)
{
	struct home home;
	struct places places;
	char runtime[128], path[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	home_make(&home);
	unsetenv("BRINE_DATA");
	snprintf(runtime, sizeof(runtime), "%s/run", home.path);
	snprintf(path, sizeof(path), "%s/brine", runtime);
	assert_int_equal(mkdir(runtime, 0700) | mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	assert_int_equal(chown(home.path, 12345, 12345) | chown(runtime, 12345, 12345),
			 0);
	locate("/nonexistent", &places); /* as after `sudo -E` */
	assert_int_equal(places.count, 0);
	assert_false(places.data_usable);
	assert_non_null(strstr(places.why, "12345"));
	unsetenv("XDG_RUNTIME_DIR");
	home_remove(&home);
}

static void
a_path_of_any_length_is_connected(void **state)
{
	struct brine_options options = { 0 };
	struct home home;
	struct fake fake;
	struct brine *brine;
	char folder[512], link[640], cut[64];

	(void)state;
	home_make(&home);
	fake_start(&fake, NULL, NULL);
	snprintf(folder, sizeof(folder), "%s/%0200d", home.path, 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(link, sizeof(link), "%s/brine.sock", folder);
	assert_int_equal(symlink(fake.path, link), 0);
	options.socket = link;
	assert_int_equal(brine_open(&options, &brine), 0);
	if (brine_ping(brine, NULL))
		fail_msg("%s", brine_message(brine));
	brine_close(&brine);
	/* And a relative one, from where the process was when it opened the handle. */
	strcpy(cut, fake.folder + strlen("/tmp/"));
	snprintf(link, sizeof(link), "%s/brine.sock", cut);
	assert_non_null(getcwd(folder, sizeof(folder)));
	assert_int_equal(chdir("/tmp"), 0);
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(brine_ping(brine, NULL), 0);
	brine_close(&brine);
	fake_stop(&fake);
	home_remove(&home);
}

static void
a_handle_keeps_to_the_daemon_it_found(void **state)
{
	struct brine_options options = { .retry_ms = 1 };
	struct home home;
	struct fake fake;
	struct brine *brine;
	char where[512];

	(void)state;
	home_make(&home);
	assert_int_equal(mkdir(home.data, 0700), 0);
	fake_start(&fake, home.data, NULL);
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_HIT);
	assert_non_null(strstr(where, "this user's daemon"));
	fake_stop(&fake);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "has gone"));
	brine_close(&brine);
	home_remove(&home);
}

static void
the_systems_daemon_is_taken_when_the_user_has_none(void **state)
{
	struct home home;
	struct fake fake, own;
	struct brine *brine;
	char where[512];

	(void)state;
	home_make(&home);
	fake_start(&fake, NULL, NULL);
	brine = open_starting(&home);
	brine->env.system_socket = fake.path;
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_HIT);
	assert_non_null(strstr(where, "the system's daemon"));
	assert_int_equal(size_of(&home, "."), -1); /* nothing was started */
	/* And kept, though the user has one now. */
	assert_int_equal(mkdir(home.data, 0700), 0);
	fake_start(&own, home.data, NULL);
	link_close(brine);
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(atomic_load(&own.connections), 0);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	brine = open_starting(&home);
	brine->env.system_socket = fake.path;
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(atomic_load(&own.connections), 1);
	brine_close(&brine);
	fake_stop(&own);
	fake_stop(&fake);
	home_remove(&home);
}

static void
a_system_socket_that_refuses_is_the_error_and_nothing_is_started(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct home home;
	struct brine *brine;
	int deaf = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	home_make(&home);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/deaf", home.path);
	assert_int_equal(bind(deaf, (struct sockaddr *)&address, sizeof(address)), 0);
	brine = open_starting(&home);
	brine->env.system_socket = address.sun_path;
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), address.sun_path));
	assert_non_null(strstr(brine_message(brine), "systemctl"));
	assert_int_equal(size_of(&home, "."), -1);
	brine_close(&brine);
	close(deaf);
	home_remove(&home);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_started_unless_the_option_asks),
		cmocka_unit_test(
			a_started_daemon_inherits_nothing_and_answers_the_first_call),
		cmocka_unit_test(who_may_not_wait_is_told_that_a_daemon_is_to_be_started),
		cmocka_unit_test(fifty_callers_get_one_daemon),
		cmocka_unit_test(
			a_failed_start_quotes_the_log_and_is_not_tried_again_at_once),
		cmocka_unit_test(a_program_that_cannot_run_is_named),
		cmocka_unit_test(a_start_that_left_no_word_is_told_without_one),
		cmocka_unit_test(
			a_data_directory_that_is_no_absolute_path_is_told_and_no_other_taken),
		cmocka_unit_test(
			a_data_directory_that_cannot_be_made_says_how_to_name_another),
		cmocka_unit_test(
			an_environment_that_is_too_long_fails_the_start_and_closes_nothing),
		cmocka_unit_test(a_long_log_is_rotated_before_a_start),
		cmocka_unit_test(the_order_is_runtime_then_data_then_system),
		cmocka_unit_test(directories_of_another_uid_count_as_absent),
		cmocka_unit_test(a_path_of_any_length_is_connected),
		cmocka_unit_test(a_handle_keeps_to_the_daemon_it_found),
		cmocka_unit_test(the_systems_daemon_is_taken_when_the_user_has_none),
		cmocka_unit_test(
			a_system_socket_that_refuses_is_the_error_and_nothing_is_started),
	};

	if (argc == 2 && strcmp(argv[1], "--automatic") == 0)
		return daemon_main();
	return unit_run(tests);
}
