/* cache_core.h - the inside of the cache: its state, and what its parts ask of each other, a section for each
 * part. Loop thread. */
#ifndef DAEMON_CACHE_CORE_H
#define DAEMON_CACHE_CORE_H

#include "conf/tenants.h"
#include "daemon/cache.h"
#include "daemon/identity.h"
#include "daemon/lease.h"
#include "daemon/pending.h"
#include "daemon/ration.h"
#include "daemon/pulse.h"
#include "daemon/reader.h"
#include "daemon/recency.h"
#include "daemon/writer.h"

/* Requests that wait for a reader or a commit; a uid has at most half of what others leave of them. */
#define PARKED_MAX 16384
/* Of one uid's, for figures: all that wait for one commit are written in the turn in which it is done. */
#define FIGURES_WAITING_MAX 4
/* Values above this are streamed; up to it they are read whole, on the loop if they are hot. */
#define WHOLE_MAX READER_WHOLE_MAX
/* Buffers of values on their way out; beyond this, parts are one row each. */
#define DOWNLOAD_BYTES_MAX (UINT64_C(64) << 20)
/* Memory in which the parts of all uploads gather, a part's worth each. */
#define UPLOADS_GATHERING_MAX (UINT64_C(256) << 20)
/* Bytes of one upload that may wait for the disk: what one commit takes. */
#define UPLOAD_AHEAD_MAX (UINT64_C(16) << 20)
#define CACHE_PATH_MAX 4096
#define COLD_SHARE_ALL (UINT32_C(1) << 16)
/* The keys of an object's tags. */
#define TAG_KEYS_SIZE (RECORD_TAGS_MAX * RECORD_TAG_SIZE)
/* Tags are invalidated, and namespaces flushed, while no more waits for the disk than so many times what puts may
 * fill. */
#define REVOKES_PENDING_TIMES 2

/* What one uid has of the cache, all its connections together. */
struct account {
	struct account *next;
	uint32_t uid;
	bool privileged; /* root's, or the daemon's own: may have all there is */
	size_t holders;  /* payers, and requests that wait */
	size_t parked;   /* requests that wait, but for those that stand in line */
	size_t figures;  /* requests for figures among these */
	size_t busy;     /* payers with bytes */
	size_t bytes;
	uint64_t uploading; /* bytes that came of values which are not whole yet */
	size_t gathering;   /* memory of those that are no part of the disk's yet */
};

#define ACCOUNT_BUCKETS 64

struct payer {
	struct cache *cache;
	struct account *account;
	size_t bytes;
	size_t refs;
};

enum op_kind {
	OP_GET,
	OP_PUT,
	OP_PUBLISH,
	OP_DELETE,
	OP_TOUCH,
	OP_TAKE,
	OP_INCR,
	OP_BUNDLE,
	OP_SCAN,
	OP_STATS,
	OP_VERIFY,
	OP_ANSWER, /* nothing to do but to give the answer that is ready, when the disk has it */
};

/* One request, as it is decided: at once, or again when what it waits for is there. */
struct op {
	enum op_kind kind;
	struct namespace *namespace; /* NULL: the uid has none of that name */
	uint8_t row_key[ROW_KEY_SIZE];
	union {
		struct get get;
		struct put put; /* also of OP_PUBLISH */
		struct incr incr;
		struct {
			struct target target; /* first in all of them */
			uint64_t only_version;
			uint64_t ttl_ms;
			enum ack ack;
		} simple;
		struct {
			struct target target;
			struct slice prefix;
			struct slice cursor;
			unsigned limit;
			struct stats_reader reader; /* OP_STATS */
		} list;
		struct {
			struct answer answer; /* OP_ANSWER alone: it has no target */
			uint32_t asker_uid;
		};
	};
	struct slice value;    /* OP_PUT; borrowed */
	struct upload *upload; /* OP_PUBLISH; owned */
	struct bundle *bundle; /* OP_BUNDLE; owned */
	struct later later;
	bool waited;  /* parked once already */
	bool in_line; /* parked until somebody has computed, or was told of it */
	bool warm; /* a reader has touched what it is about: no need to ask one again */
	bool measured;          /* unless what it takes is somebody else's time */
	uint32_t began_us;      /* CLOCK_MONOTONIC, modulo 2^32: 71 minutes */
	uint64_t wait_until_ns; /* OP_GET with a lease */
	struct change *news;    /* what it waited for; borrowed */
};

struct scan_page {
	uint8_t *entries;
	size_t len;
	unsigned count;
	uint64_t now_ms;
	uint64_t started;
	uint32_t own_uid;
	struct conf_codecs
		admitted; /* a copy: a reader looks, and the configuration is the loop's */
	uint8_t cursor[ROW_KEY_SIZE];
};

struct found {
	bool there;
	bool invalidated; /* one of its tags was: it is not there any more */
	bool barred; /* its codec is not admitted any more: it may be removed, and nothing else */
	bool chunks; /* the value is in chunk rows, not in `value` */
	struct record record;
	struct slice value;
	uint8_t *owner;         /* of value, if it had to be put together */
	struct change *pending; /* where it was found, if not in the store */
	struct change *shared;  /* whose value it is, and may be kept by many */
};

enum find_result {
	FIND_NOW,
	FIND_COLD,   /* ask a reader */
	FIND_COMMIT, /* its chunks are not on the disk yet */
	FIND_FAILED,
};

/* An op that waits: for a commit (in the list of waits) or for a job. There may be thousands: it is as
 * large as what the op borrowed. */
struct parked {
	struct op op;
	struct account *account; /* whose request it is */
	struct parked *next;
	uint64_t number;        /* the commit of this change is waited for */
	struct read_job *job;   /* NULL unless a reader is asked; owned */
	struct scan_page *page; /* OP_SCAN; owned */
	struct waiter waiter;   /* OP_GET, while it stands in line */
	uint8_t borrowed[];     /* what the op's slices point to */
};

/* What is measured apart. */
enum latency_class {
	LATENCY_GET,
	LATENCY_PUT,  /* every change that was acknowledged from memory */
	LATENCY_DISK, /* whatever waited for the disk, and was asked to or had to */
	LATENCY_SCAN, /* STATS and VERIFY, too */
	LATENCY_CLASSES
};

struct cache_counts {
	uint64_t gets, hits, misses, puts, deletes, touches, scans, flushes,
		invalidations;
	uint64_t damaged_rows, cold_reads, busy;
};

struct cache {
	struct cache_config config;
	char path[CACHE_PATH_MAX];
	char dir[CACHE_PATH_MAX]; /* path/v1 */
	int lock_fd;
	int wake_fd;   /* the threads' news */
	int hold_fd;   /* a timer: the end of a hold */
	int events_fd; /* readable when one of the two is */

	struct store *store;
	struct snapshot *snapshot;
	struct recency *recency;
	struct writer *writer;
	struct readers *readers;
	struct pending *pending;
	struct leases *leases;
	struct names names;

	uint64_t max_size;
	uint64_t max_value;
	const char *max_size_why;
	uint64_t clock;   /* last number given out */
	uint64_t started; /* the clock when this daemon started */
	uint32_t own_uid;
	uint64_t epoch;
	uint32_t next_incarnation;
	uint64_t now_us; /* daemon time of this turn */
	uint64_t now_ms;
	uint64_t now_ns;
	uint64_t started_ns;
	uint64_t txn; /* last commit that the loop knows of */
	bool writer_idle;
	bool disk_full;
	const char *lost;       /* why the store cannot be used any more */
	bool hurry;             /* somebody waits for what gathers */
	uint64_t submitted_ns;  /* when the last batch was */
	uint64_t hold_until_ns; /* unless as many changes gather before: */
	uint64_t hold_count;

	size_t keeping;          /* namespaces that keep stamps for leases */
	uint64_t keep_looked_ns; /* whether they still need to */

	struct parked *waits_first; /* by number */
	struct parked *waits_last;
	size_t parked;
	size_t in_line; /* of these, those that wait for somebody to compute: they have bounds of their own */
	struct read_job *jobs_first; /* outstanding, oldest first */
	struct read_job *jobs_last;
	struct download *downloads;
	uint64_t download_bytes;
	struct upload *uploads;
	size_t gathering; /* in all of them, of UPLOADS_GATHERING_MAX */
	uint64_t
		given_up; /* number of the change that gave up the last one for its room */
	struct account *accounts[ACCOUNT_BUCKETS];
	size_t busy_accounts; /* with bytes */

	/* Whether the loop may touch what is not known to be in memory. */
	uint32_t
		cold_share; /* of the looks that waited for the disk, of COLD_SHARE_ALL */
	long faults;        /* major ones of the loop, when it last asked */

	void (*on_room)(void *arg);
	void *on_room_arg;
	struct cache_counts counts;
	struct latency latencies[LATENCY_CLASSES];
	struct ration slow; /* lines about slow requests */
	unsigned
		unmeasured; /* requests without a namespace, since the last that was measured */
	uint64_t given_bytes; /* of values, on the loop */
	uint64_t damage_logged_ns;

	struct read_job probe; /* health.c's */
	bool probing;          /* a reader has it */
	struct pulse probed;   /* when it was sent */
};

/* ---- cache.c ---- */

/* The next number of the one clock of versions and object ids. */
uint64_t core_number(struct cache *cache);
/* Accepts a change and charges it to the payer (which may be NULL). */
void core_accept(struct cache *cache, struct change *change, struct payer *payer);
/* The loop's snapshot, at least as new as the last commit it knows of. Returns STORE_HIT or an error. */
int core_snapshot(struct cache *cache);
void core_submit_job(struct cache *cache, struct read_job *job);
void core_note_damage(struct cache *cache, const char *what);
/* Was the row used lately? Then its pages are in memory. */
bool core_is_fresh(const struct cache *cache, const uint8_t row_key[static ROW_KEY_SIZE]);
/* May the loop look for it itself? */
bool core_inline_allowed(const struct cache *cache, bool fresh);
/* Has the loop waited for the disk, for whatever, since this was last asked? */
bool core_faults_rose(struct cache *cache);
/* Somebody, the loop or a reader, looked for a row that was not fresh: did it wait for the disk? */
void core_note_look(struct cache *cache, bool waited);
/* The same, of the loop's own look that began at began_ns. */
void core_note_read(struct cache *cache, uint64_t began_ns);

/* Starts what gathers on its way to the disk. */
void core_submit(struct cache *cache);
/* The first wait whose change is committed by `number`; NULL if there is none. */
struct parked *core_next_wait(struct cache *cache, uint64_t number);
void core_forget_job(struct cache *cache, struct read_job *job);
/* A change leaves the pending table: its payer is relieved. arg is the cache. */
void core_settled(void *arg, struct change *change);
void core_look_at_clock(struct cache *cache);

/* Do so many requests wait that none of this uid may? Asked before something is accepted, since what is accepted
 * can not be refused any more. */
bool core_crowded(const struct cache *cache, uint32_t uid);
/* Does so much wait for the disk that not even what takes nothing but its own room may be added? */
bool core_stuffed(const struct cache *cache);
/* Is everything that was accepted on the disk? */
bool core_all_committed(const struct cache *cache);

static inline uint64_t
count_figure(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

/* ---- request.c ---- */

/* Decides the op. Returns CACHE_NOW and the answer, or CACHE_LATER: it was parked. */
int op_run(struct cache *cache, struct op *op, struct answer *ret_answer);
/* The job of a parked op is done. Takes it. */
void op_job_done(struct cache *cache, struct parked *parked);
/* What a parked op waited for is committed. Takes it. */
void op_resume(struct cache *cache, struct parked *parked);
/* Answers with an error. Takes it. */
void op_fail(struct cache *cache, struct parked *parked, enum error error);
/* Can nothing be accepted just now? The error is in *ret_answer then. */
bool core_refuses(const struct cache *cache, struct answer *ret_answer);

struct answer answer_error(enum error error, uint64_t detail, const char *text);

static inline int
answer_now(struct answer *ret_answer, struct answer answer)
{
	*ret_answer = answer;
	return CACHE_NOW;
}

static inline int
answer_refuse(struct answer *ret_answer, enum error error)
{
	return answer_now(ret_answer, answer_error(error, 0, NULL));
}

static inline void
answer_give(const struct later *later, const struct answer *answer)
{
	later->answered(later->arg, later->id, answer);
}

/* Whose request it is. */
uint32_t op_uid(const struct op *op);

/* The target stands at the same place in all of an op's forms but OP_ANSWER. */
static inline struct target *
op_target(struct op *op)
{
	return &op->simple.target;
}

/* ---- measuring.c ---- */

/* So many requests named the namespace, or NULL. */
void core_count_requests(struct namespace *namespace, size_t number);
/* A request is taken up; it was answered at once; it is answered after it waited. One that stands in line for a lease is
 * not measured: that time is somebody else's. */
void op_measure_begin(const struct cache *cache, struct op *op);
void op_measure_now(struct cache *cache, const struct op *op);
void op_measure_later(struct cache *cache, const struct op *op);

/* ---- naming.c ---- */

/* The target's namespace, made if need be. NULL: the error is in *ret_answer. */
struct namespace *core_namespace(struct cache *cache, const struct target *target,
				 struct answer *ret_answer);

/* ---- health.c ---- */

/* The probe is back. */
void core_probe_done(struct cache *cache);

/* ---- origin.c ---- */

/* Reads the namespaces, and gives names to those that are somebody's here. */
int core_load_names(struct cache *cache, struct ledger *ledger,
		    struct identity *identity);

/* The writer whom clients may know of. Before the start, a number out of systemd's dynamic range may have been
 * somebody else's. */
static inline uint32_t
known_writer(const struct record *record, uint64_t started, uint32_t own_uid)
{
	bool lost = uid_dynamic(record->writer_uid) && record->writer_uid != own_uid &&
		    record->version <= started;

	return lost ? NAMESPACE_SHARED : record->writer_uid;
}

/* ---- payer.c ---- */

/* One more who holds the uid's account, and one less: the last frees it. NULL: no memory. */
struct account *account_join(struct cache *cache, uint32_t uid);
void account_leave(struct cache *cache, struct account *account);
/* NULL: nobody holds it, and it has nothing. */
const struct account *account_find(const struct cache *cache, uint32_t uid);

struct payer *payer_hold(struct payer *payer);
/* So many bytes of its changes wait for the disk, more, or less. */
void payer_charge(struct payer *payer, size_t bytes);
void payer_relieve(struct payer *payer, size_t bytes);
/* May it have `more` of something of which it has `own`, and all together have `used` of `most`? */
bool account_may(const struct account *account, size_t own, size_t used, size_t most,
		 size_t more);

/* ---- admission.c ---- */

/* What the configuration says of the namespace, now that it may say something else. */
void core_declare(struct cache *cache, struct namespace *namespace);
void core_declare_all(struct cache *cache);
/* What this uid's private namespaces may hold: all of max_size, or less. */
uint64_t core_user_quota(const struct cache *cache, uint32_t uid);
/* The largest value that may be stored there. */
uint64_t core_value_max(const struct cache *cache, const struct target *target);
/* May a value of this codec be in the namespace? */
bool core_admits(const struct namespace *namespace, uint32_t codec);
/* The change that stores the record in its namespace; what does not fit its leaf is apart. Whatever stores bytes has
 * its change from here. NULL: *ret_answer says why. */
struct change *core_make_change(const struct op *op, enum change_kind kind,
				const struct record *record, struct slice apart,
				struct answer *ret_answer);

/* ---- parking.c ---- */

/* Copies the op and all that it borrows. NULL when there is no memory, or too many are parked. */
struct parked *op_park(struct cache *cache, const struct op *op);
/* The job of a parked op that is to ask a reader, made anew; NULL when there is no memory. */
struct read_job *op_job(struct parked *parked, enum read_kind kind);
/* It waits for somebody to compute. */
void op_stand_in_line(struct cache *cache, struct parked *parked);
/* Frees it, and gives up the upload that it may still have. */
void op_unpark(struct cache *cache, struct parked *parked);
/* Parks the op until everything accepted so far is on the disk, or until a reader has looked. Return
 * CACHE_LATER, or CACHE_NOW with an error when it cannot be parked. */
int op_wait_for_commit(struct cache *cache, struct op *op, struct answer *ret_answer);
int op_wait_for_reader(struct cache *cache, struct op *op, bool value_wanted,
		       struct answer *ret_answer);
/* Parks a bundle until a reader has touched all that it depends on. */
int op_wait_for_warmth(struct cache *cache, struct op *op, struct answer *ret_answer);
/* Waits until everything accepted so far is on the disk, then gives the uid its answer. */
int op_answer_later(struct cache *cache, uint32_t uid, const struct later *later,
		    struct answer *answer);

/* ---- bundling.c ---- */

/* Decides, or waits for a reader. Takes the bundle. */
int op_run_bundle(struct cache *cache, struct op *op, struct answer *ret_answer);
/* Row keys of the items that are judged by what is there; to must hold BUNDLE_MAX. Returns how many. */
size_t bundle_row_keys(const struct cache *cache, const struct op *op,
		       uint8_t (*to)[ROW_KEY_SIZE]);

/* ---- counting.c ---- */

int op_decide_incr(struct cache *cache, struct op *op, struct found *found,
		   struct answer *ret_answer);

/* ---- leasing.c ---- */

/* The key is absent for this get, which asks for a lease. Returns CACHE_NOW and the answer, or CACHE_LATER: it
 * waits. */
int op_ask_lease(struct cache *cache, struct op *op, struct answer *ret_answer);
/* A stale value is about to be given out: is this caller the one to refresh it? */
void op_offer_refresh(struct cache *cache, struct op *op, struct answer *answer);
/* Is the put's token old, if it has one? */
bool op_token_old(struct cache *cache, const struct op *op);
/* Answers some of those who were told something; the rest has its turn next. */
void core_answer_told(struct cache *cache);

/* ---- lookup.c ---- */

enum find_result op_find(struct cache *cache, const struct op *op, bool value_wanted,
			 struct found *ret_found);
/* What a reader brought, unless something newer is pending. */
enum find_result op_find_in_job(struct cache *cache, const struct op *op,
				struct read_job *job, struct found *ret_found);

/* ---- invalidate.c ---- */

/* The keys of the tags, as the objects of the namespace hold them. Returns how many. */
unsigned core_tag_keys(const struct cache *cache, const struct namespace *namespace,
		       struct slice tags, uint8_t ret_keys[static TAG_KEYS_SIZE]);
/* The newest stamp of one of these tags that is pending; NULL if there is none. */
struct change *core_pending_stamp(const struct cache *cache, const uint8_t *tag_keys,
				  unsigned count);
/* Was one of these tags invalidated after that number? Yes also where it cannot be known: for a lease that nobody
 * holds any more. */
bool core_stamped_since(struct cache *cache, const struct namespace *namespace,
			struct slice tags, uint64_t number);
/* A lease was granted: the stamps above this number are kept as long as somebody holds it, even if they void nothing
 * any more. */
void core_keep_stamps(struct cache *cache, struct namespace *namespace, uint64_t number);
/* Now and then: what no lease asks for any more need not be kept. */
void core_release_stamps(struct cache *cache);

/* ---- decide.c ---- */

int op_decide(struct cache *cache, struct op *op, struct found *found,
	      struct answer *ret_answer);
/* The answer, now or when the disk has what it is about: if it was asked to wait, or if the disk cannot keep
 * up. */
int core_acknowledge(struct cache *cache, uint32_t uid, const struct later *later,
		     bool disk, struct answer *ret_answer);
int op_acknowledge(struct cache *cache, const struct op *op, bool disk,
		   struct answer *ret_answer);
/* Starts its time to live anew. */
int op_touch_found(struct cache *cache, struct op *op, const struct found *found,
		   uint64_t ttl_ms, struct answer *ret_answer);

/* ---- getting.c ---- */

int op_decide_get(struct cache *cache, struct op *op, struct found *found,
		  struct answer *ret_answer);
/* The answer to a put that may be what was found instead. Takes found->owner. */
void op_give_found(struct cache *cache, struct op *op, const struct found *found,
		   struct answer *ret_answer);
/* Everything about an object but its value. */
void core_fill_meta(const struct cache *cache, const struct record *record,
		    struct answer *answer);
/* One who waited has to compute after all. */
void core_count_waited_miss(struct cache *cache, struct op *op);

/* ---- putting.c ---- */

/* Of OP_PUT and OP_PUBLISH. Takes the upload of the latter. */
int op_decide_put(struct cache *cache, struct op *op, struct found *found,
		  struct answer *ret_answer);
/* A put's condition, by what is there. */
enum error core_check_condition(const struct cache *cache, const struct put *put,
				const struct found *found);
/* The change that an OP_PUT or OP_PUBLISH comes to, not accepted yet. NULL: *ret_answer says why. */
struct change *core_make_value(struct cache *cache, const struct op *op,
			       struct answer *ret_answer);
/* Takes it: the value is there from now on, for those who waited for it, too. */
void core_accept_value(struct cache *cache, struct namespace *namespace,
		       struct change *change, struct payer *payer);
void core_set_expiry(const struct cache *cache, struct record *record, uint64_t ttl_ms,
		     uint64_t stale_for_ms);

/* ---- listing.c ---- */

int op_start_scan(struct cache *cache, struct op *op, struct answer *ret_answer);
/* The page is read: answers. Takes the parked op. */
void op_give_page(struct cache *cache, struct parked *parked);
int op_stats(struct cache *cache, struct op *op, struct answer *ret_answer);

/* ---- verifying.c ---- */

int op_start_verify(struct cache *cache, struct op *op, struct answer *ret_answer);
/* The page was looked at: answers. Takes the parked op. */
void op_give_findings(struct cache *cache, struct parked *parked);

/* ---- download.c ---- */

struct download *download_new(struct cache *cache, const struct record *record,
			      uint32_t uid);
void download_job_done(struct cache *cache, struct download *download,
		       struct read_job *job);
/* Object ids that are being read or about to be; to must hold WRITER_PINS_MAX. False: there are more. */
bool download_pins(const struct cache *cache, uint64_t *to, size_t *ret_count);
/* Ends the downloads of these objects with their next part: their room is needed. */
void download_cut(struct cache *cache, const uint64_t *object_ids, size_t count);

/* ---- upload.c ---- */

uint64_t upload_length(const struct upload *upload);
uint64_t upload_object(const struct upload *upload);
/* Room is short, and it is this tenant's turn to give (usage_tenant()): of what is still arriving for it, that goes which
 * has not moved for longest. */
void core_give_up_upload(struct cache *cache, uint64_t tenant);
void upload_free(struct upload **upload);

#endif
