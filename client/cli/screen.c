/* screen.c - the terminal of brine top. Owns its settings while it is open.
 *
 * What signal handlers call (write(), tcsetattr(), sigaction(), raise()) is safe there. They give the terminal back and
 * then let the signal do what it does, so that nothing else has to look out for them. */
#include "client/cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define TEXT(words) words, sizeof(words) - 1
/* The other screen, no cursor, nothing that wraps at the edge; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"
#define HOME "\033[H\033[K"
#define CLEAR_REST "\033[J"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static struct termios before;
static volatile sig_atomic_t entered;
static volatile sig_atomic_t changed;

/* Of a terminal that is gone there is nothing to give back. */
static void
put(const char *text, size_t len)
{
	while (len) {
		ssize_t written = write(STDOUT_FILENO, text, len);

		if (written < 0 && errno != EINTR)
			return;
		if (written > 0) {
			text += written;
			len -= (size_t)written;
		}
	}
}

static int
enter(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return -errno;
	entered = 1;
	put(TEXT(ENTER));
	return 0;
}

static void
leave(void)
{
	if (!entered)
		return;
	entered = 0;
	put(TEXT(LEAVE));
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static void
handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

/* Lets the signal do what it does without us, here and now. */
static void
obey(int number)
{
	sigset_t only;

	handle(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
}

static void
on_end(int number)
{
	leave();
	obey(number);
}

static void
on_stop(int number)
{
	int saved = errno;

	leave();
	obey(number);
	/* Somebody has continued us. */
	handle(number, on_stop);
	enter();
	changed = 1;
	errno = saved;
}

static void
on_resize(int number)
{
	(void)number;
	changed = 1;
}

int
screen_open(void)
{
	int result;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return -errno;
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		handle(ending[i], on_end);
	handle(SIGTSTP, on_stop);
	handle(SIGWINCH, on_resize);
	result = enter();
	if (result)
		screen_close();
	return result;
}

void
screen_close(void)
{
	leave();
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		handle(ending[i], SIG_DFL);
	handle(SIGTSTP, SIG_DFL);
	handle(SIGWINCH, SIG_DFL);
}

void
screen_size(unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col &&
		     size.ws_row;

	*ret_columns = known ? size.ws_col : 80;
	*ret_rows = known ? size.ws_row : 24;
}

bool
screen_show(const char *text, size_t len)
{
	put(TEXT(HOME));
	put(text, len);
	put(TEXT(CLEAR_REST));
	return tcgetpgrp(STDOUT_FILENO) >= 0 || errno != EIO;
}

enum screen_event
screen_wait(int ms)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;
	int ready = changed ? -1 : poll(&keys, 1, ms);

	if (ready < 0) {
		changed = 0;
		return SCREEN_CHANGED;
	}
	if (ready == 0)
		return SCREEN_NOTHING;
	if (read(STDIN_FILENO, &key, 1) != 1)
		return SCREEN_QUIT;
	return key == 'q' || key == 'Q' || key == 4 ? SCREEN_QUIT : SCREEN_KEY;
}
