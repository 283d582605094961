/* handle.c - opening and closing a handle, and noticing that the process is not the one it was. Owns the
 * handle. One thread at a time.
 *
 * Neither notice costs a system call on the way of a request. A fork: the child finds the page `alive` emptied
 * by the kernel. A changed effective uid: only a process with another uid in reserve or with CAP_SETUID can
 * change it, so only such a one is asked with geteuid(). */
#include "client/handle.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/link.h"
#include "client/silence.h"
#include "proto/key.h"

#define ALIVE_SIZE 4096

int
handle_fail(struct brine *brine, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(brine->message, sizeof(brine->message), format, args);
	va_end(args);
	return -error;
}

uint64_t
handle_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool
uid_may_change(void)
{
	struct __user_cap_header_struct header = { .version =
							   _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) || real != effective ||
	    saved != effective)
		return true;
	if (syscall(SYS_capget, &header, data))
		return true;
	return data[0].permitted >> CAP_SETUID & 1;
}

static void
remember_process(struct brine *brine)
{
	if (brine->alive)
		brine->alive[0] = 1;
	else
		brine->pid = getpid();
	brine->uid = geteuid();
	brine->uid_may_change = uid_may_change();
}

static bool
forked(const struct brine *brine)
{
	return brine->alive ? !brine->alive[0] : brine->pid != getpid();
}

bool
handle_look(struct brine *brine)
{
	bool moved = brine->uid_may_change && geteuid() != brine->uid;

	if (!moved && !forked(brine))
		return false;
	/* Closed, not shut down and with nothing sent: the parent's connection goes on. */
	link_close(brine);
	held_drop(&brine->held);
	brine->stream = NULL;
	brine->retry_at_ms = 0;
	brine->successor_until_ms = 0;
	if (moved) {
		brine->choice = CHOICE_NONE;
		silence_end(brine->silence); /* another user's daemon may be meant */
	}
	brine->lent = false;
	remember_process(brine);
	return true;
}

static void
map_alive(struct brine *brine)
{
	void *page = mmap(NULL, ALIVE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, ALIVE_SIZE, MADV_WIPEONFORK)) {
		munmap(page, ALIVE_SIZE);
		return;
	}
	brine->alive = page;
}

static bool
valid_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 2 * NAMESPACE_NAME_MAX;
}

static int
copy_options(const struct brine_options *options, struct brine *brine)
{
	const char *name = options->namespace_name;

	if (locate_read(options->socket, &brine->env))
		return -BRINE_ERROR_LOCAL_MEMORY;
	if (!name)
		name = brine->env.namespace_name;
	if (!name)
		name = NAMESPACE_DEFAULT;
	if (!valid_name(name) || (options->daemon && options->daemon[0] != '/') ||
	    (brine->env.socket && strlen(brine->env.socket) >= PATH_MAX))
		return -BRINE_ERROR_BAD_ARGUMENT;
	brine->namespace_name = strdup(name);
	brine->daemon_path = options->daemon ? strdup(options->daemon) : NULL;
	if (!brine->namespace_name || (options->daemon && !brine->daemon_path))
		return -BRINE_ERROR_LOCAL_MEMORY;
	brine->timeout_ms = options->timeout_ms ? options->timeout_ms : BRINE_TIMEOUT_MS;
	brine->retry_ms = options->retry_ms ? options->retry_ms : BRINE_RETRY_MS;
	brine->silence = options->silence ? options->silence : &brine->own_silence;
	brine->autostart = brine->env.no_autostart ? 0 : options->autostart;
	brine->trust_server_uid = options->trust_server_uid != 0;
	brine->trusted_uid = options->server_uid;
	brine->interrupted = options->interrupted;
	brine->interrupted_arg = options->interrupted_arg;
	return 0;
}

int
brine_open(const struct brine_options *options, struct brine **ret_brine)
{
	static const struct brine_options defaults;
	struct brine *brine = calloc(1, sizeof(*brine));
	int error;

	if (!brine)
		return -BRINE_ERROR_LOCAL_MEMORY;
	brine->fd = -1;
	error = copy_options(options ? options : &defaults, brine);
	if (error) {
		brine_close(&brine);
		return error;
	}
	map_alive(brine);
	remember_process(brine);
	*ret_brine = brine;
	return 0;
}

void
brine_close(struct brine **brine)
{
	if (!brine || !*brine)
		return;
	link_close(*brine);
	held_drop(&(*brine)->held);
	if ((*brine)->alive)
		munmap((void *)(*brine)->alive, ALIVE_SIZE);
	locate_free(&(*brine)->env);
	free((*brine)->namespace_name);
	free((*brine)->daemon_path);
	free(*brine);
	*brine = NULL;
}

uint32_t
brine_uid(const struct brine *brine)
{
	return (uint32_t)brine->uid;
}

const char *
brine_message(const struct brine *brine)
{
	return brine->message;
}

int
brine_where(struct brine *brine, char *to, size_t size)
{
	struct places places;

	handle_look(brine);
	if (brine->env.disabled) {
		snprintf(to, size, "nowhere (BRINE_DISABLE=1)");
		return BRINE_MISS;
	}
	if (brine->fd >= 0 || brine->lent) {
		snprintf(to, size, "%s (%s)", brine->place.path,
			 locate_kind_text(&brine->env, brine->place.kind));
		return BRINE_HIT;
	}
	locate_places(&brine->env, brine->uid, &places);
	if (places.count == 0)
		snprintf(to, size, "nowhere (%s)", places.why);
	else
		snprintf(to, size, "%s (%s%s%s)", places.at[0].path,
			 locate_kind_text(&brine->env, places.at[0].kind),
			 places.why[0] ? "; " : "", places.why);
	return BRINE_MISS;
}
