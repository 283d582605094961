/* find.c - goes through the places where a daemon may be, starts one if there is none, and says why not.
 * Owns nothing: what it connects is the handle's. One thread at a time. */
#include "client/find.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/start.h"

#define PASSWD_MAX 4096

static bool
trusted(const struct brine *brine, const struct place *place, uint32_t server_uid)
{
	struct passwd account, *found = NULL;
	char buffer[PASSWD_MAX];

	if (server_uid == brine->uid || server_uid == 0)
		return true;
	if (brine->trust_server_uid && server_uid == brine->trusted_uid)
		return true;
	if (strcmp(place->path, brine->env.system_socket) != 0)
		return false;
	return getpwnam_r(LOCATE_SYSTEM_ACCOUNT, &account, buffer, sizeof(buffer),
			  &found) == 0 &&
	       found && account.pw_uid == server_uid;
}

/* Returns 0 or an errno; EINTR only when the caller wants to stop. */
static int
try_place(struct brine *brine, const struct place *place, int *ret_fd,
	  uint32_t *ret_server_uid)
{
	int error;

	do {
		error = connect_path(place->path, brine->hasty ? 0 : brine->timeout_ms,
				     ret_fd, ret_server_uid);
	} while (error == EINTR && !handle_interrupted(brine));
	return error;
}

static bool
nobody_there(int error)
{
	return error == ENOENT || error == ECONNREFUSED || error == ENOTDIR;
}

static int
explain(struct brine *brine, const struct place *place, int error)
{
	const char *advice = "";

	if (error == EINTR)
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "connecting to %s was broken off", place->path);
	if (error == EAGAIN && brine->hasty)
		return handle_fail(brine, BRINE_ERROR_BUSY,
				   "the daemon at %s is not there at once", place->path);
	if (nobody_there(error))
		advice = place->kind == PLACE_SYSTEM
				 ? "; see `systemctl status brined`"
				 : "; start a daemon there, or leave the socket unnamed";
	else if (error == EACCES)
		advice = "; ask its administrator for access";
	else if (error == EAGAIN)
		advice =
			": its queue of new connections stayed full; it hangs or is overloaded";
	return handle_fail(brine, BRINE_ERROR_UNREACHABLE,
			   "uid %u cannot reach Brine at %s (%s): %s%s",
			   (unsigned)brine->uid, place->path,
			   locate_kind_text(&brine->env, place->kind),
			   error == EAGAIN ? "no answer" : strerror(error), advice);
}

static int
explain_absent(struct brine *brine, const struct places *places)
{
	const char *advice =
		brine->env.no_autostart
			? "start one with `brined` (BRINE_AUTOSTART=0 forbids the library to)"
		: brine->autostart
			? "nothing is stored yet, and the first put starts one (or `brined`)"
			: "start one with `brined`";

	if (places->count == 0)
		return handle_fail(
			brine, BRINE_ERROR_UNREACHABLE,
			"uid %u has no Brine daemon: %s; name a directory with BRINE_DATA, or "
			"a socket with BRINE_SOCKET",
			(unsigned)brine->uid, places->why);
	if (brine->choice == CHOICE_USER)
		return handle_fail(brine, BRINE_ERROR_UNREACHABLE,
				   "the Brine daemon of uid %u at %s has gone; %s",
				   (unsigned)brine->uid,
				   places->at[places->count - 1].path, advice);
	return handle_fail(
		brine, BRINE_ERROR_UNREACHABLE,
		"uid %u has no Brine daemon: none answers at %s%s%s, and there is no %s; %s",
		(unsigned)brine->uid, places->at[0].path,
		places->count > 1 ? " or at " : "",
		places->count > 1 ? places->at[1].path : "", brine->env.system_socket,
		advice);
}

/* A socket was connected. Returns 0, or an error if who is behind it is not to be trusted. */
static int
adopt(struct brine *brine, const struct place *place, int fd, uint32_t server_uid)
{
	struct brine_wire_options options = { .timeout_ms = brine->timeout_ms };

	if (!trusted(brine, place, server_uid)) {
		close(fd);
		return handle_fail(
			brine, BRINE_ERROR_NOT_TRUSTED,
			"the daemon at %s runs as uid %u, and this process, uid %u, trusts its "
			"own and root's only; if that is right, trust uid %u by the option "
			"server_uid (brine: --trust-uid)",
			place->path, server_uid, (unsigned)brine->uid, server_uid);
	}
	if (brine_wire_new(&options, &brine->wire)) {
		close(fd);
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a connection to %s", place->path);
	}
	brine->fd = fd;
	brine->place = *place;
	brine->server_uid = server_uid;
	if (place->kind != PLACE_GIVEN)
		brine->choice = place->kind == PLACE_SYSTEM ? CHOICE_SYSTEM : CHOICE_USER;
	return 0;
}

static bool
considered(const struct brine *brine, const struct place *place)
{
	if (brine->choice == CHOICE_NONE || place->kind == PLACE_GIVEN)
		return true;
	return (place->kind == PLACE_SYSTEM) == (brine->choice == CHOICE_SYSTEM);
}

/* As find_daemon() does. */
static int
connect_started(struct brine *brine, const struct places *places, bool *ret_absent)
{
	struct place place = { .kind = PLACE_DATA };
	struct start start = {
		.env = &brine->env,
		.daemon = brine->daemon_path,
		.data = places->data,
		.socket = place.path,
		.uid = brine->uid,
	};
	char why[HANDLE_MESSAGE_MAX / 2];
	uint32_t server_uid = 0;
	int error, fd = -1;

	snprintf(place.path, sizeof(place.path), "%s",
		 places->at[places->count - 1].path);
	error = start_daemon(&start, why, sizeof(why));
	if (error) {
		*ret_absent = error == START_LATE;
		return handle_fail(
			brine, BRINE_ERROR_UNREACHABLE,
			"uid %u has no Brine daemon, and none could be started: %s",
			(unsigned)brine->uid, why);
	}
	error = try_place(brine, &place, &fd, &server_uid);
	*ret_absent = nobody_there(error);
	return error ? explain(brine, &place, error)
		     : adopt(brine, &place, fd, server_uid);
}

static bool
may_start(const struct brine *brine, const struct places *places)
{
	if (!brine->autostart || !places->data_usable || !places->count)
		return false;
	return brine->autostart != BRINE_START_STORED || access(places->data, F_OK) == 0;
}

int
find_daemon(struct brine *brine, bool *ret_absent)
{
	struct places places;
	uint32_t server_uid = 0;
	int error, fd = -1;

	*ret_absent = false;
	locate_places(&brine->env, brine->uid, &places);
	for (int i = 0; i < places.count; i++) {
		const struct place *place = &places.at[i];
		bool last = place->kind == PLACE_GIVEN || place->kind == PLACE_SYSTEM;

		if (!considered(brine, place))
			continue;
		error = try_place(brine, place, &fd, &server_uid);
		if (!error)
			return adopt(brine, place, fd, server_uid);
		if (last || !nobody_there(error)) {
			*ret_absent = nobody_there(error);
			return explain(brine, place, error);
		}
	}
	*ret_absent = true;
	if (brine->choice == CHOICE_SYSTEM)
		return handle_fail(
			brine, BRINE_ERROR_UNREACHABLE,
			"the system's daemon at %s has gone; see `systemctl status brined`",
			brine->env.system_socket);
	/* What is left in the list is the user's own, its last the socket in the data directory. */
	while (places.count && places.at[places.count - 1].kind == PLACE_SYSTEM)
		places.count--;
	if (may_start(brine, &places) && brine->hasty)
		return handle_fail(brine, BRINE_ERROR_BUSY,
				   "a daemon is to be started first");
	if (may_start(brine, &places))
		return connect_started(brine, &places, ret_absent);
	return explain_absent(brine, &places);
}
