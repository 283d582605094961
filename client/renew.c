/* renew.c - whether a daemon is to be replaced by a newer one. Owns nothing. One thread at a time.
 *
 * Whether what would be started really is newer, the two daemons settle between them: a library may find an old
 * program in PATH. So nothing is displaced by it, and only the start was for nothing. */
#include "client/renew.h"

#include "client/start.h"

/* A socket that was named is not to be touched, and the system's daemon is its administrator's. */
static bool
is_ours(const struct brine *brine)
{
	return brine->server_uid == brine->uid &&
	       (brine->place.kind == PLACE_RUNTIME || brine->place.kind == PLACE_DATA);
}

void
renew_daemon(struct brine *brine)
{
	const struct brine_wire *wire = brine->wire;
	struct places places;
	struct start start = {
		.env = &brine->env,
		.daemon = brine->daemon_path,
		.uid = brine->uid,
	};

	if (!wire->makes_room || wire->daemon.release >= WIRE_RELEASE)
		return;
	if (!brine->autostart || !is_ours(brine) ||
	    wire->daemon.epoch == brine->renewed_epoch)
		return;
	brine->renewed_epoch = wire->daemon.epoch;
	locate_places(&brine->env, brine->uid, &places);
	if (!places.data_usable)
		return;
	start.data = places.data;
	start.socket = brine->place.path;
	start_newer(&start, brine->fd);
}
