/* handle.h - what a struct brine is; for the library's own files. */
#ifndef CLIENT_HANDLE_H
#define CLIENT_HANDLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "client/brine.h"
#include "client/held.h"
#include "client/locate.h"
#include "client/wire.h"

#define HANDLE_MESSAGE_MAX 1024

/* Which daemon a handle has settled on: it keeps to it until the effective uid changes. */
enum choice {
	CHOICE_NONE,
	CHOICE_USER,
	CHOICE_SYSTEM,
};

struct brine {
	struct locate_env env;
	char *namespace_name;
	char *daemon_path;
	int64_t timeout_ms;
	uint32_t retry_ms;
	int autostart; /* BRINE_START..., or 0 */
	bool trust_server_uid;
	uint32_t trusted_uid;
	int (*interrupted)(void *arg);
	void *interrupted_arg;

	/* The connection: fd is -1 and wire NULL when there is none. */
	int fd;
	struct brine_wire *wire;
	bool send_broken; /* the daemon takes no more bytes, but may have sent some */
	bool hasty; /* while it looks for a daemon: it waits neither for a queue nor for a start */
	bool lent; /* brine_connect() gave the last connection away */
	struct place place;
	uint32_t server_uid;
	enum choice choice;

	/* After a failure to connect: what every call answers until then. */
	uint64_t retry_at_ms;
	int retry_error;
	struct brine_silence *silence; /* &own_silence, or the caller's */
	struct brine_silence own_silence;
	/* The daemon said that it leaves, and nobody has answered since: until then an absent one is waited
	 * for. 0: nothing of the kind. */
	uint64_t successor_until_ms;
	uint64_t
		renewed_epoch; /* of the daemon that was last to be replaced by a newer one */

	/* Whose handle it is. alive is a page that the kernel empties in a forked child. */
	volatile unsigned char *alive;
	pid_t pid; /* where there is no such page */
	uid_t uid;
	bool uid_may_change;

	struct held held;
	void *stream; /* the upload or download under way */
	char message[HANDLE_MESSAGE_MAX];
};

/* After a wait that a signal interrupted: shall it end? */
static inline bool
handle_interrupted(const struct brine *brine)
{
	return brine->interrupted && brine->interrupted(brine->interrupted_arg);
}

/* Keeps the sentence for brine_message(). Returns -error. */
int handle_fail(struct brine *brine, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Notices a fork and a changed uid; drops then what belonged to the one before. Was there one? */
bool handle_look(struct brine *brine);

/* CLOCK_MONOTONIC in ms, at the kernel's tick: no system call. */
uint64_t handle_now_ms(void);

#endif
