/* brine.h - libbrine, the C client of Brine: values that outlive the program that computed them.
 *
 *	struct brine *brine;
 *	struct brine_value *value;
 *
 *	if (brine_open(NULL, &brine))
 *		return;
 *	if (brine_get(brine, "answer", 6, NULL, &value) == BRINE_HIT) {
 *		use(brine_value_data(value), brine_value_len(value));
 *		brine_value_release(&value);
 *	}
 *	brine_close(&brine);
 *
 * Results. A function that returns int returns an answer (0 and up: BRINE_DONE, BRINE_HIT, BRINE_MISS) or
 * a negative error: -BRINE_ERROR_..., never errno. Outputs come last, start with ret_, change only on
 * success, and may be NULL unless a handle is what they return.
 *
 * Threads. A handle, with its uploads, downloads and scans, is used by one thread at a time; two handles
 * share nothing. A value belongs to nobody: it outlives its handle and may be released in any thread. The
 * library has no global state, starts no thread, prints nothing, installs no signal handler and raises
 * no SIGPIPE.
 *
 * Fork. A child notices by itself that it is one, drops the inherited connection without a byte sent on it,
 * and connects anew at its first call. Not so for an upload or download under way: only the process that
 * began it may go on with it. Leases stay with the process that was granted them. A process that may change
 * its effective uid (root, CAP_SETUID, a set-uid program) is checked with geteuid() at each call; any other
 * cannot, and is spared the system call.
 *
 * Memory. A handle holds about 150 KiB of address space, of which small values touch 8; on top of it come
 * the values that the caller asked for, each of the length that the daemon announced (pages are touched
 * only as bytes arrive; one of 1 MiB or more lies in large pages, and up to 1 MiB beyond its length is its
 * own), while a batch is sent its encoding (at most 8 MiB, with brine_many() 2), while its answer is taken
 * apart that too (at most 16 MiB), up to 1.2 KiB for each of at most 64 leases, and nothing else.
 * Units stand in names: _ms, _us; lengths are bytes. */
#ifndef BRINE_H
#define BRINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BRINE_VERSION_MAJOR 0
#define BRINE_VERSION_MINOR 1
#define BRINE_VERSION_PATCH 0

enum brine_result {
	BRINE_DONE = 0,
	BRINE_HIT = 0,
	BRINE_MISS = 1,  /* no such object, or nothing left */
	BRINE_ALONE = 2, /* in a BATCH's answer only: ask for this one by itself */
};

/* What a caller does about an error without knowing it. */
enum brine_class {
	BRINE_OUTAGE, /* the cache cannot help just now: go on as after a miss */
	BRINE_REFUSAL, /* asking the same way again will be refused again: a mistake to show */
	BRINE_CONDITION, /* an answer: what was asked for does not hold (exists, absent, changed) */
};

/* Numbers are fixed for ever; functions return them negated. Below 128 the daemon says them. */
enum brine_error {
	BRINE_ERROR_SHUTTING_DOWN = 1,
	BRINE_ERROR_DISK_FULL = 2,
	BRINE_ERROR_NO_MEMORY = 3,
	BRINE_ERROR_BUSY = 4,
	BRINE_ERROR_DAMAGED = 5,
	BRINE_ERROR_INTERNAL = 6,
	BRINE_ERROR_BAD_REQUEST = 32,
	BRINE_ERROR_UNSUPPORTED = 33,
	BRINE_ERROR_TOO_LARGE = 34,
	BRINE_ERROR_BAD_KEY = 35,
	BRINE_ERROR_BAD_NAMESPACE = 36,
	BRINE_ERROR_FORBIDDEN = 37,
	BRINE_ERROR_TOO_MANY = 38,
	BRINE_ERROR_ABORTED = 39,
	BRINE_ERROR_NOT_A_COUNTER = 40,
	BRINE_ERROR_NOT_ADMITTED = 41,
	BRINE_ERROR_ABSENT = 64,
	BRINE_ERROR_EXISTS = 65,
	BRINE_ERROR_CHANGED = 66,
	BRINE_ERROR_OLD_TOKEN = 67, /* of a lease: the value was not stored */
	BRINE_ERROR_OVERFLOW = 68,
	BRINE_ERROR_UNREACHABLE = 128,
	BRINE_ERROR_TIMED_OUT = 129,
	BRINE_ERROR_CUT_OFF =
		130, /* the connection broke; the request may have been executed */
	BRINE_ERROR_NOT_TRUSTED = 131,
	BRINE_ERROR_BAD_PEER = 132,
	BRINE_ERROR_SOURCE_FAILED = 133,
	BRINE_ERROR_BAD_ARGUMENT = 134,
	BRINE_ERROR_DISABLED = 135,
	BRINE_ERROR_LOCAL_MEMORY = 136,
	BRINE_ERROR_SINK_FAILED = 137,
	BRINE_ERROR_INTERRUPTED = 138, /* the `interrupted` hook said so */
};

/* Of a negative result, or of the error's number. Static storage; never NULL. */
enum brine_class brine_error_class(int error);
const char *brine_error_name(int error); /* "TOO_LARGE" */
const char *brine_error_text(int error); /* one sentence in general words */

#define BRINE_NEVER UINT64_MAX   /* a time to live without end */
#define BRINE_UNKNOWN UINT64_MAX /* a length not known beforehand */
#define BRINE_KEY_MAX 1024
#define BRINE_TIMEOUT_MS 1000
#define BRINE_RETRY_MS 1000
#define BRINE_START 1
#define BRINE_START_STORED 2

/* ---- the handle */

struct brine;

/* What several handles of one daemon know of its silence, so that where one of them has waited in vain the others do not
 * wait as well. Zero at first; the library's own from then on, in any thread. */
struct brine_silence {
	uint64_t until_ms;
	uint32_t count;
};

/* Zero (and NULL) is the default everywhere. Everything is copied but `silence`. */
struct brine_options {
	/* This socket and no other (a relative path: from the working directory of now); nothing is
	 * started. Default: the environment's BRINE_SOCKET in the
	 * same way; else this user's own daemon, the system's, or one that is started (see autostart). */
	const char *socket;
	/* For calls that name none. Default: BRINE_NAMESPACE, else "default". */
	const char *namespace_name;
	/* The longest silence while an answer is awaited, not the longest transfer: each byte that moves
	 * starts it anew. 0: BRINE_TIMEOUT_MS; negative: for ever. Requests that wait for the disk (delete,
	 * take, flush, invalidate, sync, ack disk, streamed puts) have ten times as long; how long those wait that
	 * wait for a computation says brine_get_or_lease(). */
	int64_t timeout_ms;
	/* After a failure to connect, calls fail at once (microseconds) for so long before the next try; after a
	 * silence the same, and after each one more twice as long, up to 16 times. 0: BRINE_RETRY_MS. */
	uint32_t retry_ms;
	/* BRINE_START: where neither this user's nor the system's daemon is there, start one for this user.
	 * BRINE_START_STORED: only if this user's data directory is there, so that something may be stored.
	 * The environment's BRINE_AUTOSTART=0 forbids it. The call that starts it waits at most one second. */
	int autostart;
	/* The program to start, an absolute path. Default: brined beside the library, in ../bin or
	 * ../libexec beside it, or in PATH. */
	const char *daemon;
	/* 1: a daemon that runs as `server_uid` is trusted too. Without it: one of the own uid, of root and,
	 * at the system socket, of the account `brine`. */
	int trust_server_uid;
	uint32_t server_uid;
	/* Called when a signal interrupted a wait, in the waiting thread. Returns 0 to go on waiting;
	 * anything else breaks the call off with BRINE_ERROR_INTERRUPTED and closes the connection. */
	int (*interrupted)(void *arg);
	void *interrupted_arg;
	/* Shared with other handles, and borrowed by all of them; NULL: this handle's own. */
	struct brine_silence *silence;
};

/* Makes a handle; options may be NULL. Does not connect: no daemon is needed, errors come from calls.
 * Reads the environment (BRINE_*, XDG_*, HOME; nothing of it in a set-uid program) now and not later.
 * Returns 0, -BRINE_ERROR_LOCAL_MEMORY, or -BRINE_ERROR_BAD_ARGUMENT (an overlong path, a relative
 * `daemon`, a namespace name that is empty or overlong).
 *
 * Under BRINE_DISABLE=1 every get, meta, take and scan of the handle is a miss (with a lease: BRINE_LEASE_ALONE), every
 * put, delete, touch, flush, invalidate, release, batch and sync is done without effect, ping, stats and incr are
 * -BRINE_ERROR_DISABLED, and no socket is touched. */
int brine_open(const struct brine_options *options, struct brine **ret_brine);

/* Closes the connection and frees the handle; NULL is fine. End uploads, downloads and scans first. */
void brine_close(struct brine **brine);

/* The last error of this handle in words for people: who, what, why, what to do. Never NULL; "" before the
 * first error. Borrowed until the next call with this handle. */
const char *brine_message(const struct brine *brine);

/* The effective uid for which the handle asked last, or was opened: what a call stores, this uid writes. Costs no
 * system call. */
uint32_t brine_uid(const struct brine *brine);

/* Writes the path of the socket that is in use, or that would be tried first, and why it is that one
 * ("/run/brine/brine.sock (the system's daemon)") into to, cut at size. Does not connect.
 * Returns BRINE_HIT if a connection stands, BRINE_MISS if not. */
int brine_where(struct brine *brine, char *to, size_t size);

/* "0.1.0" of the library that is loaded. */
const char *brine_version(void);

/* ---- keys
 *
 * A key travels encoded; calls take the encoding, 1 to 1,024 bytes. A text of up to 1,023 bytes of UTF-8 is
 * its own encoding. Everything else, longer texts included, goes through a struct brine_key. */

struct brine_key {
	union {
		uint64_t align;
		unsigned char bytes[1280];
	} opaque;
};

/* Each sets *ret_key (borrowed from key, so keep it) and returns its length. A text is the caller's word
 * that it is UTF-8: the daemon refuses what is not. An empty text is no key (BAD_KEY). */
size_t brine_key_text(struct brine_key *key, const char *text, size_t len,
		      const void **ret_key);
size_t brine_key_bytes(struct brine_key *key, const void *bytes, size_t len,
		       const void **ret_key);
size_t brine_key_int(struct brine_key *key, int64_t value, const void **ret_key);
size_t brine_key_float(struct brine_key *key, double value, const void **ret_key);
size_t brine_key_bool(struct brine_key *key, int value, const void **ret_key);
size_t brine_key_none(struct brine_key *key, const void **ret_key);

/* For tuples and memoized calls: an encoding piece by piece, its tag first (PROTOCOL.md, "Keys"). */
void brine_key_begin(struct brine_key *key);
void brine_key_add(struct brine_key *key, const void *bytes, size_t len);
size_t brine_key_end(struct brine_key *key, const void **ret_key);

enum brine_key_tag {
	BRINE_KEY_BYTES = 0xf5,
	BRINE_KEY_INT = 0xf6,
	BRINE_KEY_FLOAT = 0xf7,
	BRINE_KEY_BOOL = 0xf8,
	BRINE_KEY_NONE = 0xf9,
	BRINE_KEY_TUPLE = 0xfa,
	BRINE_KEY_CALL = 0xfb,
};

/* Pieces of such an encoding; each returns the length written. */
#define BRINE_KEY_PIECE_MAX 10
size_t brine_key_put_int(int64_t value,
			 unsigned char to[BRINE_KEY_PIECE_MAX]); /* with its tag */
size_t brine_key_put_float(double value,
			   unsigned char to[BRINE_KEY_PIECE_MAX]); /* with its tag */
size_t brine_key_put_length(
	uint64_t len, unsigned char to[BRINE_KEY_PIECE_MAX]); /* of a tuple's item */

/* 1 if a daemon would take these bytes as a key. */
int brine_key_valid(const void *key, size_t len);

/* ---- values */

enum brine_kind {
	BRINE_BLOB = 0,
	BRINE_COUNTER = 1, /* 8 bytes, little-endian, signed */
};

struct brine_meta {
	uint64_t version;
	uint64_t length;
	uint64_t age_ms;
	uint64_t ttl_left_ms; /* BRINE_NEVER */
	uint64_t cost_us;     /* 0: not said */
	uint64_t stale_ms;    /* since it expired; 0: it is fresh */
	uint32_t codec;
	uint32_t kind;       /* enum brine_kind */
	uint32_t writer_uid; /* BRINE_NOBODY when the daemon did not say */
	uint64_t
		stale_for_ms; /* its stale window, after its time to live; 0: it has none */
};
#define BRINE_NOBODY UINT32_MAX

/* A run of bytes that the caller owns until brine_value_release(). Aligned for any type, followed by
 * a NUL byte that its length does not count. */
struct brine_value;

const void *brine_value_data(const struct brine_value *value); /* never NULL */
size_t brine_value_len(const struct brine_value *value);
const struct brine_meta *brine_value_meta(const struct brine_value *value);
void brine_value_release(struct brine_value **value); /* NULL is fine; leaves NULL */

/* ---- tags
 *
 * A name that objects share, so that all of them can be made absent at once. They travel as one run of bytes, of
 * at most 16 tags of 1 to 255 bytes each. */

#define BRINE_TAGS_SIZE 4096

/* Appends a tag to tags, BRINE_TAGS_SIZE bytes of which *len are in use (0 at first). BRINE_DONE, or
 * -BRINE_ERROR_BAD_ARGUMENT: empty, over 255 bytes, or the seventeenth; then nothing has changed. A tag that is
 * there already is not added again. */
int brine_tags_add(void *tags, size_t *len, const char *tag, size_t tag_len);

/* ---- requests */

#define BRINE_REFRESH_SAME UINT64_MAX
#define BRINE_TOKEN_SIZE 16

struct brine_get_options {
	const char *namespace_name; /* NULL: the handle's; as in every struct below */
	uint64_t max_age_ms;        /* an older object is a miss; 0: any age */
	uint64_t not_version;       /* an object of this version is a miss; 0: none is */
	uint64_t
		refresh_ms; /* a new time to live from now; BRINE_REFRESH_SAME: the one given at the
	                             * put, anew; 0: leave it */
	uint8_t stale_ok; /* 1: an expired object inside its stale window is a hit; see meta.stale_ms */
	/* 1: for programs that look at everything: it is neither counted as a hit or miss nor as a use of the object,
	 * which makes eviction spare it */
	uint8_t quiet;
};

/* BRINE_HIT and a value to release, BRINE_MISS, or an error. A value whose stored bytes are damaged is a
 * miss; only a download that has begun ends with -BRINE_ERROR_DAMAGED. */
int brine_get(struct brine *brine, const void *key, size_t key_len,
	      const struct brine_get_options *options, struct brine_value **ret_value);

/* Everything but the value; extends nothing. */
int brine_meta(struct brine *brine, const void *key, size_t key_len,
	       const char *namespace_name, struct brine_meta *ret_meta);

enum brine_condition {
	BRINE_ALWAYS = 0,
	BRINE_IF_ABSENT = 1,  /* else -BRINE_ERROR_EXISTS */
	BRINE_IF_PRESENT = 2, /* else -BRINE_ERROR_ABSENT */
	BRINE_IF_VERSION =
		3, /* `version` is the object's, else -BRINE_ERROR_CHANGED or ABSENT */
};

enum brine_ack {
	/* Memory for put, touch, incr; disk for delete, take, flush, invalidate, and a batch that deletes. */
	BRINE_ACK_DEFAULT = 0,
	BRINE_ACK_MEMORY = 1,
	BRINE_ACK_DISK = 2,
};

struct brine_put_options {
	const char *namespace_name;
	uint64_t ttl_ms;   /* 0 and BRINE_NEVER: for ever */
	uint64_t cost_us;  /* what computing it cost; 0: not said */
	uint64_t version;  /* with BRINE_IF_VERSION */
	uint32_t codec;    /* PROTOCOL.md, "Codecs"; 0: plain bytes */
	uint8_t kind;      /* enum brine_kind */
	uint8_t condition; /* enum brine_condition */
	uint8_t ack;       /* enum brine_ack */
	/* After the time to live: how long the old value may still be given to who asks with stale_ok; 0: not. */
	uint64_t stale_ms;
	const void *tags; /* brine_tags_add() */
	size_t tags_len;
	/* A lease, BRINE_TOKEN_SIZE bytes: the value is what was computed under it, and ends it. If the lease is
	 * somebody else's by now, or the key was changed meanwhile: -BRINE_ERROR_OLD_TOKEN, and nothing is stored. */
	const unsigned char *token;
};

/* Stores a value, whole or not at all; it is borrowed during the call. -BRINE_ERROR_CUT_OFF from a
 * put with a condition or a token means: it may have been stored. */
int brine_put(struct brine *brine, const void *key, size_t key_len, const void *value,
	      size_t value_len, const struct brine_put_options *options,
	      uint64_t *ret_version);

/* Stores a value unless there is one, in one step: of many that do, exactly one stores, and all get what it stored.
 * BRINE_HIT and a value to release: it was there; options do not matter then, and the wait for the disk is left out.
 * BRINE_MISS: nothing was, and `value` is stored now, as by brine_put(). Or an error: nothing was stored.
 *
 * not_version: an object of this version counts as none, and `value` takes its place; 0: every object counts. It is for
 * a caller that cannot use what it was given. options->condition and version are not looked at. One that was cut off
 * is sent again: it then finds what it stored itself. With a daemon that cannot do this in one step it takes several,
 * each safe by itself: others may still come between, and BRINE_MISS is said of one alone. */
int brine_put_or_get(struct brine *brine, const void *key, size_t key_len,
		     const void *value, size_t value_len,
		     const struct brine_put_options *options, uint64_t not_version,
		     struct brine_value **ret_value);

struct brine_delete_options {
	const char *namespace_name;
	uint64_t
		version; /* only an object of this version, else -BRINE_ERROR_CHANGED; 0: any */
	uint8_t ack;
};

/* BRINE_DONE: it was there; BRINE_MISS: it was not (also when a delete had to be sent twice). */
int brine_delete(struct brine *brine, const void *key, size_t key_len,
		 const struct brine_delete_options *options);

/* Removes an object and gives what it was: of several that take the same one, one gets it. BRINE_HIT and a value
 * to release, BRINE_MISS, or an error; -BRINE_ERROR_CUT_OFF: it may have been taken, and is lost then (a take is
 * never sent twice). Waits for the disk unless options->ack says otherwise. */
int brine_take(struct brine *brine, const void *key, size_t key_len,
	       const struct brine_delete_options *options,
	       struct brine_value **ret_value);

struct brine_touch_options {
	const char *namespace_name;
	uint64_t ttl_ms; /* counted from now; 0 and BRINE_NEVER: for ever */
	uint8_t ack;
};

int brine_touch(struct brine *brine, const void *key, size_t key_len,
		const struct brine_touch_options *options);

/* Removes everything in one namespace (NULL: the handle's), at once. */
int brine_flush(struct brine *brine, const char *namespace_name);

/* Makes every object of one namespace absent that carries one of the tags, at once; what is stored later stays.
 * BRINE_DONE or an error. ack: enum brine_ack, by default disk. */
int brine_invalidate(struct brine *brine, const void *tags, size_t tags_len,
		     const char *namespace_name, uint8_t ack);

struct brine_incr_options {
	const char *namespace_name;
	int64_t initial; /* what an absent counter counts as, before delta is added */
	uint64_t
		ttl_ms; /* of a counter that this call makes; 0 and BRINE_NEVER: for ever */
	uint8_t only_if_present; /* 1: an absent counter is -BRINE_ERROR_ABSENT and stays so */
	uint8_t ack;             /* by default memory */
};

/* Adds delta (which may be negative, or 0) to the counter; *ret_value is what it stands at then. One that exists
 * keeps its time to live and its tags. -BRINE_ERROR_NOT_A_COUNTER; -BRINE_ERROR_OVERFLOW: it stays as it was;
 * -BRINE_ERROR_CUT_OFF: it may have been counted (an increment is never sent twice). */
int brine_incr(struct brine *brine, const void *key, size_t key_len, int64_t delta,
	       const struct brine_incr_options *options, int64_t *ret_value);

/* Returns when everything that this daemon acknowledged before is on the disk. */
int brine_sync(struct brine *brine);

/* What the daemon said of itself when the connection was made. */
struct brine_daemon {
	uint64_t max_value;
	uint64_t epoch;      /* another one after each start */
	uint32_t release;    /* major * 65536 + minor * 256 + patch */
	uint32_t uid;        /* as whom it sees this process */
	uint32_t server_uid; /* whose socket it is */
};
int brine_ping(struct brine *brine, struct brine_daemon *ret_daemon);

/* ---- leases: one computes, the others wait
 *
 * brine_get_or_lease() either has the value, or lets exactly one caller on the machine compute it while the others
 * wait. Who is told BRINE_LEASE_GRANTED computes, and then either stores the value by brine_put() with
 * options.token, or gives the lease up by brine_release(); who does neither holds it until its handle is closed
 * or its process ends, and then the next waiter computes. In all other cases a put needs no token. A put that was
 * refused (too large, disk full) leaves the lease where it is: release it then. One that failed because the
 * connection did ends the lease.
 *
 * A lease belongs to the connection on which it was granted. When that breaks, the handle takes its leases up
 * again on the next one, which is made by its next call: at most the last 64 of them, and the daemon must not have
 * given them to somebody else meanwhile (it waits for 10 seconds after its own restart). A forked child has none:
 * they stay its parent's. */

enum brine_lease_state {
	BRINE_LEASE_NONE = 0,    /* a hit: nothing to do */
	BRINE_LEASE_GRANTED = 1, /* compute, and publish or release */
	BRINE_LEASE_ALONE = 2, /* compute, and put without a token: others do the same */
	BRINE_LEASE_WAITED =
		3, /* a miss because the wait is over; another may still be computing */
};

struct brine_lease {
	uint8_t state;                         /* enum brine_lease_state */
	unsigned char token[BRINE_TOKEN_SIZE]; /* if it is BRINE_LEASE_GRANTED */
};

#define BRINE_NO_WAIT UINT64_MAX

struct brine_lease_options {
	const char *namespace_name;
	uint64_t
		max_age_ms; /* these two as in struct brine_get_options: what they exclude is absent */
	uint64_t not_version;
	uint8_t stale_ok; /* 1: a stale value is a hit; if it comes with a lease, refresh it */
	uint8_t only_wait; /* 1: never compute, only wait until somebody stores a value */
	/* Who computes: a number of the caller's choice that is the same in all that one computation asks for,
	 * its threads and processes included. Where waiting would close a circle of such computations the answer
	 * is BRINE_LEASE_ALONE. 0: none. */
	uint64_t holder;
	/* 0: as long as somebody computes (with only_wait: for ever); BRINE_NO_WAIT: not at all. */
	uint64_t wait_ms;
	uint64_t lease_ms; /* the lease ends after so long; 0: with its connection */
};

/* BRINE_HIT and a value to release (with BRINE_LEASE_GRANTED: it is stale, and this caller refreshes it);
 * BRINE_MISS: compute, as ret_lease->state says; or an error (outage: compute and use the result). Both outputs
 * are required; ret_lease is always set.
 *
 * A wait has no time limit but wait_ms: while it lasts, a PING after each timeout_ms of silence makes sure of the
 * daemon, and a further timeout_ms of silence is -BRINE_ERROR_TIMED_OUT. If the connection is lost or the daemon
 * shuts down, the call connects again for up to timeout_ms and goes on waiting. The `interrupted` hook ends it
 * like any other call. */
int brine_get_or_lease(struct brine *brine, const void *key, size_t key_len,
		       const struct brine_lease_options *options,
		       struct brine_value **ret_value, struct brine_lease *ret_lease);

enum brine_give_up {
	BRINE_FAILED =
		1, /* the next waiter computes; after a second failure in a row, all of them do */
	BRINE_CANNOT_BE_KEPT =
		2, /* the result is no value to store: all waiters compute alone */
};

/* Gives a lease up without a value. BRINE_DONE; BRINE_MISS: it was somebody else's, or over, already. */
int brine_release(struct brine *brine, const void *key, size_t key_len,
		  const char *namespace_name, const unsigned char token[BRINE_TOKEN_SIZE],
		  enum brine_give_up why);

/* ---- scan: the keys of one namespace */

struct brine_scan_options {
	const char *namespace_name;
	const void *prefix; /* of the encoded key */
	size_t prefix_len;
	uint32_t page; /* entries that one request brings; 0: 1,000; at most 4,096 */
};

struct brine_entry {
	const void *
		key; /* encoded; borrowed until the next brine_scan_next() or brine_scan_end() */
	size_t key_len;
	int shortened; /* 1: the key was over 1,023 bytes, and these are its head and its hash */
	struct brine_meta meta; /* age_ms and cost_us are 0 */
};

struct brine_scan;

/* Begins a scan; asks the daemon nothing yet. Options are copied. The handle may be used for other calls
 * between two steps. An object that stays is met once or, rarely, twice; one that is stored, replaced or
 * removed meanwhile may be met or not. */
int brine_scan_begin(struct brine *brine, const struct brine_scan_options *options,
		     struct brine_scan **ret_scan);
/* BRINE_HIT and the next entry, BRINE_MISS at the end, or an error (asking again is allowed). */
int brine_scan_next(struct brine_scan *scan, struct brine_entry *ret_entry);
/* How many entries brine_scan_next() has at hand without asking the daemon. */
size_t brine_scan_held(const struct brine_scan *scan);
/* Rows that the pages so far left out, because they did not match their checksum: the keys are not known. */
uint64_t brine_scan_damaged(const struct brine_scan *scan);
void brine_scan_end(struct brine_scan **scan);

/* ---- statistics */

/* One line for each counter: `scope TAB name TAB value LF`. Release the value. */
int brine_stats(struct brine *brine, struct brine_value **ret_text);

struct brine_stat {
	const char *scope, *name, *value; /* borrowed from the text; not terminated */
	size_t scope_len, name_len, value_len;
};
/* Steps through such a text; *position starts at 0. BRINE_HIT or BRINE_MISS at the end. Lines of another
 * shape are passed over. */
int brine_stats_next(const struct brine_value *text, size_t *position,
		     struct brine_stat *ret_stat);

/* The options of the daemon, one line for each: `name TAB value TAB effect TAB when TAB origin LF`; later releases may
 * have more words. effect is what the value comes to, or empty; when is `live` or `start`. Behind them the settings of
 * sections, whose names are `[namespace /models] quota` and `[user alice] quota`. For administrators: others
 * get -BRINE_ERROR_FORBIDDEN. Release the value. */
int brine_config(struct brine *brine, struct brine_value **ret_text);

/* Where a verification stands. All zero: at its beginning. */
struct brine_place {
	unsigned char cursor[64];
	size_t cursor_len;
};

/* Has the daemon read the next page of all that it has stored (at most about 1 MiB), and checks it. *ret_text is what it found,
 * as lines like those of brine_stats(), which brine_stats_next() steps through; PROTOCOL.md, VERIFY, says what they mean.
 * BRINE_HIT: there is more, and *place is where; BRINE_MISS: that was the last page. For administrators: others get
 * -BRINE_ERROR_FORBIDDEN. Release the value. */
int brine_verify(struct brine *brine, struct brine_place *place,
		 struct brine_value **ret_text);

/* ---- streams: values of any length through a bounded buffer
 *
 * While an upload or a download is under way its handle serves nothing else: other calls are
 * -BRINE_ERROR_BAD_ARGUMENT. A stream is not sent again after its connection broke. */

struct brine_upload;

/* length: of the whole value, or BRINE_UNKNOWN. After an error there is nothing to end. */
int brine_put_begin(struct brine *brine, const void *key, size_t key_len, uint64_t length,
		    const struct brine_put_options *options,
		    struct brine_upload **ret_upload);
/* Sends all of it before it returns; each call costs at least one segment, so prefer 64 KiB to 64 B. After
 * an error the value is not stored: call brine_put_abort(). An early refusal is reported here. A write of no
 * bytes says that the source is slow, not dead: one each 10 s keeps the daemon waiting. */
int brine_put_write(struct brine_upload *upload, const void *bytes, size_t len);
/* Takes the upload, in every case. -BRINE_ERROR_BAD_ARGUMENT when length bytes were announced and fewer came. */
int brine_put_finish(struct brine_upload **upload, uint64_t *ret_version);
/* Nothing is stored; the connection stays usable. Takes the upload; NULL is fine. */
void brine_put_abort(struct brine_upload **upload);
/* Stores what fd gives until its end. -BRINE_ERROR_SOURCE_FAILED when reading fails. fd stays open. */
int brine_put_fd(struct brine *brine, const void *key, size_t key_len, int fd,
		 const struct brine_put_options *options, uint64_t *ret_version);

struct brine_download;

/* BRINE_HIT and a download to end, BRINE_MISS, or an error. */
int brine_get_begin(struct brine *brine, const void *key, size_t key_len,
		    const struct brine_get_options *options,
		    struct brine_download **ret_download);
const struct brine_meta *brine_download_meta(const struct brine_download *download);
/* Reads straight into to: the count of bytes (fewer than size only at the end), 0 when the value is complete
 * (and only then is it known to be whole: until then nothing may be believed), or a negative error. */
int64_t brine_get_read(struct brine_download *download, void *to, size_t size);
/* At any time. Takes the download; NULL is fine. Leaving much unread costs the connection. */
void brine_get_end(struct brine_download **download);
/* Writes the value to fd; an error (-BRINE_ERROR_SINK_FAILED when writing fails) may leave a part of it
 * there. fd stays open. A pipe that nobody reads raises SIGPIPE, as write() does. */
int brine_get_fd(struct brine *brine, const void *key, size_t key_len, int fd,
		 const struct brine_get_options *options, struct brine_meta *ret_meta);

/* ---- many requests at once, without waiting for each answer */

enum brine_command {
	BRINE_PING = 2,
	BRINE_GET = 3,
	BRINE_PUT = 4,
	BRINE_DELETE = 5,
	BRINE_TOUCH = 6,
	BRINE_META = 7,
	BRINE_SCAN = 8,
	BRINE_FLUSH = 9,
	BRINE_STATS = 10,
	BRINE_SYNC = 11,
	BRINE_INCR = 12,
	BRINE_INVALIDATE = 13,
	BRINE_TAKE = 14,
	BRINE_BATCH = 15,
	BRINE_RELEASE = 16,
	BRINE_RESUME = 17,
	BRINE_CONFIG = 18,
	BRINE_VERIFY = 19,
};

/* What a GET asks for beside the value. */
enum brine_ask {
	BRINE_ASK_LEASE = 1, /* compute it if it is missing */
	BRINE_ASK_WAIT = 2,  /* only wait for it */
};

/* One request, of which only what its command knows is looked at. Everything is borrowed: by brine_many()
 * during the call; by brine_wire_request() the value alone, until it was sent. */
struct brine_request {
	enum brine_command command;
	const char *namespace_name; /* NULL: the handle's; with a wire: "default" */
	const void *key;
	size_t key_len;
	const void *value; /* PUT; BATCH: its entries, brine_batch_add() */
	size_t value_len;
	uint64_t ttl_ms;  /* PUT, TOUCH, INCR: 0 and BRINE_NEVER: for ever */
	uint64_t cost_us; /* PUT */
	uint64_t version; /* PUT with BRINE_IF_VERSION; DELETE, TAKE: 0: any */
	uint64_t
		max_age_ms; /* GET, and so the next two; as in struct brine_get_options */
	uint64_t not_version; /* PUT with or_get, too */
	uint64_t refresh_ms;
	uint32_t codec; /* PUT */
	uint8_t kind;   /* PUT */
	uint8_t condition; /* PUT; INCR: BRINE_IF_PRESENT; BATCH: not 0 if an entry has one */
	uint8_t ack;       /* PUT, DELETE, TOUCH, FLUSH, INCR, INVALIDATE, TAKE, BATCH */
	const void *prefix; /* SCAN, and so the next lines */
	size_t prefix_len;
	const void *cursor; /* VERIFY, too: of the page before; NULL: from the start */
	size_t cursor_len;
	uint32_t limit;   /* at most 4,096; 0: the daemon's */
	uint8_t stale_ok; /* GET */
	uint8_t quiet;    /* GET */
	/* PUT with BRINE_IF_ABSENT: 1: what is there is the answer, as of a GET (BRINE_HIT); BRINE_MISS: it was stored */
	uint8_t or_get;
	uint8_t lease; /* GET: enum brine_ask, 0: just the value; and so the next three */
	uint8_t give_up;  /* RELEASE: enum brine_give_up */
	uint64_t wait_ms; /* as in struct brine_lease_options */
	uint64_t lease_ms;
	uint64_t holder;            /* RESUME, too */
	const unsigned char *token; /* PUT (NULL: none), RELEASE, RESUME */
	uint64_t stale_ms;          /* PUT */
	const void *tags;           /* PUT, INVALIDATE */
	size_t tags_len;
	int64_t delta; /* INCR: what is added, 0 too */
	int64_t initial;
};

struct brine_reply {
	uint64_t token; /* brine_wire_request()'s; brine_many(): the request's index */
	int result;     /* what the single call would return */
	/* GET, TAKE and PUT with or_get hit: the value. STATS, CONFIG, VERIFY: the text. SCAN: a page of entries, and the next line.
	 * Else NULL. The receiver releases it. */
	struct brine_value *value;
	struct brine_meta
		meta; /* of a hit; of what PUT stored, and of INCR, the version alone */
	unsigned char cursor[64]; /* SCAN, VERIFY: where the next page begins */
	size_t cursor_len;        /* 0: this was the last */
	uint64_t
		detail; /* of an error: the limit that was passed, or the field that is not supported; SCAN: damaged rows */
	int again; /* of an error: 1 when sending the same request again cannot do it twice */
	struct brine_lease lease; /* GET that asked for one */
	int64_t counter;          /* INCR */
	uint64_t
		entry; /* of a BATCH's error: which entry it is about, BRINE_UNKNOWN if none */
};

/* Runs count requests on one connection, many in flight, and fills ret_replies[i] for requests[i]. They are
 * independent: each may be executed before or after any other. Values come whole into memory, so bound what
 * one call asks for. Returns 0 when every request was answered (look at each result), else the error
 * that kept some from it, which then stands in their results. ret_replies is always filled. */
int brine_many(struct brine *brine, const struct brine_request *requests, size_t count,
	       struct brine_reply *ret_replies);

/* All or nothing: stores and deletes 1 to 1,024 objects of one namespace together, so that every reader sees all of
 * them or none, and so does the disk. requests are PUTs of up to 1 MiB each (no token) and DELETEs in any mix, of
 * which the namespaces and acks are ignored; their encoding may have 8 MiB in all. All conditions are checked
 * first, against what was there before; of several requests for one key the last wins. By default it waits for
 * the disk if there is a DELETE in it.
 *
 * BRINE_DONE, and ret_replies[i] is what the single call would have given; or an error: nothing was stored, each
 * result says so, and *ret_entry is the index of the request that was refused, BRINE_UNKNOWN if it is not about
 * one. -BRINE_ERROR_CUT_OFF: all of it may have been stored.
 *
 * Or all of them GETs: then it is one question and one answer for what is small, and ret_replies[i] has a value to
 * release or a miss; what is long is asked for by itself. Values come whole into memory. */
int brine_batch(struct brine *brine, const struct brine_request *requests, size_t count,
		const char *namespace_name, uint8_t ack, struct brine_reply *ret_replies,
		uint64_t *ret_entry);

/* For BATCH with a wire: writes one more entry behind the *len bytes (0 at first) that body holds of size, at most
 * BRINE_BATCH_SIZE. BRINE_DONE; -BRINE_ERROR_BUSY: no room; or what is wrong with the request. */
#define BRINE_BATCH_SIZE (8u << 20)
#define BRINE_BATCH_ENTRIES 1024
int brine_batch_add(void *body, size_t size, size_t *len,
		    const struct brine_request *request);
/* The next entry of its answer; *position starts at 0. BRINE_HIT, with a reply whose value is to be released and
 * whose result may be BRINE_ALONE; BRINE_MISS at the end; -BRINE_ERROR_BAD_PEER or -BRINE_ERROR_LOCAL_MEMORY. */
int brine_batch_next(const struct brine_value *answer, size_t *position,
		     struct brine_reply *ret_reply);

/* Releases the values of count replies. */
void brine_replies_release(struct brine_reply *replies, size_t count);

/* One entry of a SCAN page; *position starts at 0. BRINE_HIT, BRINE_MISS at its end, or
 * -BRINE_ERROR_BAD_PEER. The entry borrows the page. */
int brine_page_next(const struct brine_value *page, size_t *position,
		    struct brine_entry *ret_entry);

/* ---- the protocol without a socket, for event loops
 *
 * A wire is one connection's protocol: requests go in, bytes to send come out; bytes received go in, replies
 * come out. It never blocks and makes no system call. Times are the caller's, in milliseconds of any clock
 * that only goes forward. It sends HELLO by itself. It allocates at most BRINE_WIRE_MEMORY and one value at
 * a time on top (the reply that is arriving; then it is the receiver's).
 *
 * The caller connects, by brine_connect() or by itself; then it checks with SO_PEERCRED whom it is connected to. */

/* A socket for a wire: finds this user's daemon, or starts one, and checks who is behind it, as the calls of the handle
 * do. *ret_fd is the caller's to close, non-blocking and close-on-exec, and nothing was sent on it. The handle's own
 * connection, if it has one, ends; brine_where() tells of the one that was given away. Give each wire a handle of its
 * own, and that no calls. Every call of this tries; retry_ms is the caller's to keep.
 *
 * may_wait 0: it takes microseconds, and is -BRINE_ERROR_BUSY where that is not enough, because a daemon is to be started
 * or has a full queue of new connections. Then 1, in a thread where waiting does no harm: it waits for up to the
 * handle's timeout, and a second for a start. A daemon that has just said GOAWAY may have a successor in a moment:
 * -BRINE_ERROR_UNREACHABLE is worth some more tries then. Under BRINE_DISABLE=1 it is -BRINE_ERROR_DISABLED. */
int brine_connect(struct brine *brine, int may_wait, int *ret_fd);

/* To be asked before each request. 1: this process is a forked child, or its effective uid has changed, since this was
 * asked last or the handle was opened; what brine_connect() gave is not its own. Close it, without a byte sent and not
 * by shutdown(), and connect anew. 0 costs no system call in a process that cannot change its uid. */
int brine_moved(struct brine *brine);

/* A request whose connection broke may be sent again where its reply says `again`. When it was sent again after
 * -BRINE_ERROR_CUT_OFF, and the last reply has this result, returns what it comes to altogether: mostly that
 * result, but -BRINE_ERROR_CUT_OFF where the last sending did nothing and an earlier one may have. */
int brine_request_after_cut(const struct brine_request *request, int result);

#define BRINE_WIRE_MEMORY (4u << 20)
#define BRINE_WIRE_OUTSTANDING 65536u

struct brine_wire;

struct brine_wire_options {
	uint64_t
		max_value; /* a longer value in an answer is -BRINE_ERROR_TOO_LARGE; 0: no limit of ours */
	int64_t timeout_ms; /* as in struct brine_options */
};

/* 0 or -BRINE_ERROR_LOCAL_MEMORY. */
int brine_wire_new(const struct brine_wire_options *options,
		   struct brine_wire **ret_wire);
void brine_wire_free(struct brine_wire **wire);

/* Queues a request. token comes back in its reply. 0; -BRINE_ERROR_BUSY: the queue is full, send and receive
 * first; -BRINE_ERROR_SHUTTING_DOWN: after GOAWAY, use a new connection; or another error, which says that
 * nothing was queued. */
int brine_wire_request(struct brine_wire *wire, const struct brine_request *request,
		       uint64_t token, uint64_t now_ms);

/* What to send now: fills up to count entries, borrowed until the next call with this wire, and returns how
 * many (0: nothing to send). Then say how many bytes of it were sent. */
int brine_wire_output(struct brine_wire *wire, struct iovec *to, int count);
void brine_wire_sent(struct brine_wire *wire, size_t bytes, uint64_t now_ms);

/* Where received bytes belong (1 or 2 entries, at least one byte; for readv, or the first alone). Take all
 * replies with brine_wire_next() before asking. Then say how many came. 0 or the error that broke the wire. */
int brine_wire_space(struct brine_wire *wire, struct iovec to[2]);
int brine_wire_received(struct brine_wire *wire, size_t bytes, uint64_t now_ms);

/* The next reply, in any order: 1, or 0 when more bytes are needed, or the error that broke the wire
 * (close the connection, then brine_wire_cut()). */
int brine_wire_next(struct brine_wire *wire, struct brine_reply *ret_reply);

/* The connection is gone (or to be closed): from now on brine_wire_next() gives an error reply for each request
 * that is still open, then 0. Its `again` says which may be sent on a new connection. */
void brine_wire_cut(struct brine_wire *wire);

/* When the silence becomes too long: a time on the caller's clock, BRINE_NEVER if nothing is awaited. Once
 * it has passed, call brine_wire_tick(). */
uint64_t brine_wire_deadline(const struct brine_wire *wire);
/* 0: go on. Where nothing but GETs with a lease is awaited, which may take any time, it has queued a PING: send
 * what brine_wire_output() gives, and there is a new deadline. -BRINE_ERROR_TIMED_OUT: the daemon is to be taken
 * for dead: close, and brine_wire_cut(). */
int brine_wire_tick(struct brine_wire *wire, uint64_t now_ms);

/* Requests without an answer yet. */
size_t brine_wire_outstanding(const struct brine_wire *wire);
/* 1 after GOAWAY: let what is outstanding finish, and open a new connection for the rest. */
int brine_wire_leaving(const struct brine_wire *wire);
/* What HELLO said; -BRINE_ERROR_BUSY before it has answered. server_uid is BRINE_NOBODY. */
int brine_wire_daemon(const struct brine_wire *wire, struct brine_daemon *ret_daemon);
/* As brine_message(). */
const char *brine_wire_message(const struct brine_wire *wire);

#ifdef __cplusplus
}
#endif

#endif
