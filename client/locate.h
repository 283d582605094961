/* locate.h - where a client looks for its daemon, and in which order. Looks at directories; connects nowhere. */
#ifndef CLIENT_LOCATE_H
#define CLIENT_LOCATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LOCATE_SYSTEM_SOCKET "/run/brine/brine.sock"
#define LOCATE_SYSTEM_ACCOUNT "brine"
#define LOCATE_WHY_MAX 256

/* What the environment said when the handle was made. Strings are owned; NULL where nothing was said. */
struct locate_env {
	char *socket; /* BRINE_SOCKET, or the caller's argument; absolute */
	char *data;   /* BRINE_DATA */
	char *cache;  /* XDG_CACHE_HOME; absolute */
	char *runtime;
	char *config; /* XDG_CONFIG_HOME: only handed on to a daemon that is started */
	char *home;
	char *namespace_name;
	bool socket_argued; /* socket was an argument */
	bool no_autostart;
	bool disabled;
	const char *system_socket; /* LOCATE_SYSTEM_SOCKET, but for tests */
};

enum place_kind {
	PLACE_GIVEN,   /* named by the caller or by BRINE_SOCKET */
	PLACE_RUNTIME, /* this user's, in XDG_RUNTIME_DIR */
	PLACE_DATA,    /* this user's, in the data directory */
	PLACE_SYSTEM,
};

struct place {
	enum place_kind kind;
	char path[PATH_MAX];
};

#define LOCATE_PLACES_MAX 3

struct places {
	struct place at[LOCATE_PLACES_MAX]; /* in the order to be tried */
	int count;
	bool data_usable;         /* data is, or can become, a directory of this user */
	char data[PATH_MAX];      /* this user's data directory */
	char why[LOCATE_WHY_MAX]; /* why it is not usable, or not the usual one; "" */
};

/* Reads the environment (nothing of it in a set-uid program). socket may be NULL. Returns 0, or -1 when
 * memory is short. */
int locate_read(const char *socket, struct locate_env *ret_env);
void locate_free(struct locate_env *env);

/* Lists the places for this effective uid. */
void locate_places(const struct locate_env *env, uid_t uid, struct places *ret_places);

/* "the system's daemon" */
const char *locate_kind_text(const struct locate_env *env, enum place_kind kind);

#endif
