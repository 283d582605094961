/* cache.h - what the daemon keeps, as its requests see it. Loop thread only; never blocks on a disk.
 *
 * A request is answered at once (the function returns CACHE_NOW and *ret_answer is filled) or later
 * (CACHE_LATER: the `later` given with it is called once, from cache_wake() or cache_turn_end()).
 * Everything passed in is borrowed during the call and copied where the cache keeps it. */
#ifndef DAEMON_CACHE_H
#define DAEMON_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/key.h"
#include "proto/message.h"
#include "proto/slice.h"

struct cache;
struct conf_tenants;
struct upload;
struct download;
struct payer;
struct peer;

/* Values up to this size come and go in one piece; larger ones are streamed in parts of it. */
#define CACHE_PART_MAX FRAME_SEGMENT_MAX

#define TTL_NEVER UINT64_MAX
#define CACHE_TOKEN_SIZE 16

struct cache_config {
	const char *path;          /* the data directory, absolute; used at open only */
	uint64_t max_size;         /* bytes; 0 chooses by the file system */
	uint64_t max_value;        /* bytes; 0 means a quarter of max_size */
	unsigned min_free_percent; /* of the file system */
	uint64_t commit_delay_ns;
	uint64_t max_unflushed_ns;
	unsigned max_namespaces;  /* private ones, per uid */
	unsigned reader_threads;  /* used at open only */
	uint64_t slow_request_ns; /* what takes longer is logged; 0: nothing is */
	uint64_t pending_size; /* bytes of accepted puts that are not on the disk yet */
	/* Shared namespaces, and quotas; borrowed until the next cache_configure(). NULL: there are none. */
	const struct conf_tenants *tenants;
	bool adopt; /* a store from another machine is taken for one of this; used at open only, as is: */
	const char *
		machine_file; /* where this machine's id stands; NULL: where systemd keeps it */
};

/* Whose request it is, and what about. namespace is a valid name, and if it is a shared one, declared, and the uid has
 * the right; key is a valid encoding: the caller checks. */
struct target {
	uint32_t uid;
	enum right
		right; /* in a shared namespace: what it takes, asked again after a wait */
	struct slice namespace;
	struct slice key;
};

enum answer_kind {
	ANSWER_DONE, /* stored, removed, touched... or a hit */
	ANSWER_MISS,
	ANSWER_ERROR,
};

struct bundle;
struct keeper;

struct answer {
	enum answer_kind kind;
	enum error error; /* with ANSWER_ERROR, and the next two */
	uint64_t detail;  /* the limit that was passed; 0 when there is none */
	const char *text; /* static, or NULL for the error's own sentence */

	bool has_meta; /* the next lines are filled (GET, META); PUT and TOUCH fill version alone */
	uint8_t object_kind;
	bool stale; /* it is past its time to live */
	bool apart; /* of a hit with whole_only: ask for the value by itself, which counts then */
	uint32_t codec;
	uint32_t writer_uid;
	uint8_t lease; /* what came of asking for one (enum lease_reply); its token is below */
	uint64_t version;
	uint64_t length;
	uint64_t age_ms;
	uint64_t ttl_left_ms; /* TTL_NEVER */
	uint64_t cost_us;
	uint64_t stale_for_ms; /* its window, after its time to live */

	/* The value, one of: nothing (value.data NULL); value borrowed until the call or callback returns
	 * (owner NULL); value inside owner, which the receiver takes and gives to free(); or a download,
	 * which the receiver takes and ends with download_close(). */
	struct slice value;
	void *owner;
	struct keeper *keeper; /* of a borrowed value, or NULL: see cache_keep() */
	struct download *download;

	uint64_t stale_ms; /* of a stale hit: since when */
	uint8_t token[CACHE_TOKEN_SIZE];

	int64_t counter; /* INCR */
	/* What a bundle came to, the receiver's to free; with an error: which item it is about, from 1; 0: none. */
	struct bundle *bundle;
	uint32_t entry;
	uint32_t
		damaged; /* SCAN: rows that the page leaves out, not matching their checksum */

	/* SCAN, VERIFY: where to go on (len 0: finished), borrowed like value. */
	struct slice cursor;
	uint64_t count;
};

enum {
	CACHE_NOW = 0,
	CACHE_LATER = 1,
};

/* A borrowed value that many may get at once: who keeps its keeper may use it until it lets go, and nobody
 * copies it. */
void cache_keep(struct keeper *keeper);
void cache_let_go(struct keeper *keeper);

/* Who waits for an answer that comes later. Each of these may be NULL. */
struct asker {
	/* It waits for somebody to compute from now on (cache_peer_waiting()), and has waited for
	 * something of ours before. */
	void (*in_line)(void *arg);
	/* Is nobody there any more who could hear of it? Then a change that was not decided yet is not made. */
	bool (*gone)(void *arg);
	/* What may it do in this shared namespace? A reload may have changed that while the request waited, and it is
	 * carried out with the rights of then. */
	enum right (*may)(void *arg, struct slice namespace);
	/* Whose it is; NULL is fine. */
	uint32_t (*uid)(void *arg);
};

/* Where it goes. arg must stay valid until then. */
struct later {
	void (*answered)(void *arg, uint32_t id, const struct answer *answer);
	void *arg;
	uint32_t id;
	const struct asker *asker; /* NULL is fine */
};

/* Opens the store of config->path (created if need be) and starts the threads. Returns 0, or -1 with a
 * sentence in error: the caller says it and leaves. May wait for a dying predecessor's lock for up to
 * wait_ms. */
#define CACHE_ERROR_MAX 512
int cache_open(const struct cache_config *config, unsigned wait_ms,
	       struct cache **ret_cache, char error[static CACHE_ERROR_MAX]);

/* Commits what was accepted, stops the threads, saves recency, frees everything. */
void cache_close(struct cache **cache);

/* Applies what can change while running: limits, delays. */
void cache_configure(struct cache *cache, const struct cache_config *config);

/* Readable when cache_wake() has something to do: answers, commits, parts. */
int cache_wake_fd(const struct cache *cache);
void cache_wake(struct cache *cache);

/* Around every batch of requests: no snapshot outlives it. The first returns CLOCK_MONOTONIC, which it
 * reads; the second may start a commit.
 * Cheap when nothing happened. Must also be called when cache_deadline_ns() (CLOCK_MONOTONIC,
 * UINT64_MAX for never) has passed. */
uint64_t cache_turn_begin(struct cache *cache);
void cache_turn_end(struct cache *cache);
uint64_t cache_deadline_ns(const struct cache *cache);

/* Who pays for bytes that wait for the disk: one per connection; lives on until they are there. What there is, is
 * divided between uids first, and then between the connections of each. */
struct payer *payer_new(struct cache *cache, uint32_t uid);
void payer_release(struct payer **payer);

/* May this payer's next request carry `bytes` of value now? If not, the caller stops reading from it
 * and asks again when on_room (set once) is called, from cache_wake(). */
bool cache_admits(struct cache *cache, const struct payer *payer, size_t bytes);
/* The same of a put with a lease's token: others may be waiting for it, so it draws on a reserve. */
bool cache_admits_awaited(struct cache *cache, const struct payer *payer, size_t bytes);
void cache_on_room(struct cache *cache, void (*on_room)(void *arg), void *arg);

/* The process at the other end of one connection, as far as leases need it. NULL: no memory. */
struct peer *cache_peer_new(struct cache *cache, uint32_t uid);
/* Its connection is gone: its leases pass on. NULL is fine. */
void cache_peer_free(struct cache *cache, struct peer **peer);
/* It ended, but somebody else still has its connection. */
void cache_peer_died(struct cache *cache, struct peer *peer);
bool cache_peer_holds(const struct peer *peer);
/* Requests of its connection that wait for somebody to compute. */
size_t cache_peer_waiting(const struct peer *peer);
/* The same of all peers together; those who were told something, and not answered yet, count. */
size_t cache_waiting(const struct cache *cache);

/* The peer's rights in shared namespaces may have become fewer; may() says what they are. Who waits where it may not
 * any more is answered; what it holds passes on. After cache_configure(), first the waits of all, then the leases. */
enum cache_bar { BAR_WAITS, BAR_LEASES };
void cache_bar(struct cache *cache, struct peer *peer, enum cache_bar what,
	       enum right (*may)(void *arg, struct slice namespace), void *arg);

/* The daemon is about to leave: who waits for a lease is told to ask again, and nobody is granted one. */
void cache_leave(struct cache *cache);

struct get {
	struct target target;
	struct peer *peer;     /* who asks; with lease */
	enum lease_wish lease; /* what to do when it is absent */
	uint64_t holder;       /* with lease; 0: not said */
	uint64_t wait_ms;      /* with lease; TTL_NEVER: as long as somebody computes */
	uint64_t lease_ms; /* with LEASE_WISH_COMPUTE; 0: as long as its holder lives */
	bool stale_ok; /* past its time to live, inside its stale window, it is good enough */
	uint64_t max_age_ms;  /* TTL_NEVER: any */
	uint64_t not_version; /* 0: none */
	bool refresh;         /* start the TTL anew */
	uint64_t refresh_ms;  /* with refresh: 0 repeats the TTL given */
	bool meta_only;
	bool quiet;      /* counts for nothing, and is no use of the object */
	bool whole_only; /* a value that would be a download stays: see answer.apart */
};

int cache_get(struct cache *cache, const struct get *get, const struct later *later,
	      struct answer *ret_answer);

struct put {
	struct target target;
	struct payer *payer;
	uint64_t ttl_ms; /* TTL_NEVER */
	uint32_t codec;
	uint8_t object_kind; /* enum object_kind; a counter's value has 8 bytes (the caller checks) */
	uint64_t cost_us;      /* 0: not said */
	uint64_t stale_for_ms; /* after the TTL */
	bool tokened;
	uint8_t token
		[CACHE_TOKEN_SIZE]; /* with tokened: of the lease that it publishes */
	enum condition condition;
	uint64_t version; /* with CONDITION_VERSION */
	/* With CONDITION_ABSENT: what is there is the answer, with all about it (has_meta), as a get would give it; else
	 * the answer is that of a put. An object of not_version (0: none) is absent for it. */
	bool or_get;
	uint64_t not_version;
	struct slice
		tags; /* as in the field TAGS (proto/tag.h), which the caller checks; empty: none */
	enum ack ack;
};

/* value.len <= CACHE_PART_MAX. */
int cache_put(struct cache *cache, const struct put *put, struct slice value,
	      const struct later *later, struct answer *ret_answer);

/* Puts and deletes that are accepted together or not at all: they become visible at once, and reach the disk in
 * one transaction. All conditions are judged first, by what was there before. */
#define BUNDLE_MAX 1024
struct bundle_item {
	bool remove;        /* else it is put */
	struct put put;     /* its target; and, of a put, all but payer, ack and token */
	struct slice value; /* of a put */
	uint64_t only_version; /* of a removal; 0: any */
	/* filled by the cache: */
	uint64_t version; /* that was put */
	bool there;       /* there was something to remove */
};
struct bundle {
	uint32_t uid;
	struct slice namespace;
	struct payer *payer;
	enum ack ack;
	void *bytes; /* what all slices point into; goes with the bundle */
	size_t count;
	struct bundle_item items[];
};
void bundle_free(struct bundle **bundle);
/* The most bytes that the values of one bundle may have; one value has CACHE_PART_MAX at most. */
uint64_t cache_bundle_max(const struct cache *cache);
/* Takes the bundle, in every case. */
int cache_bundle(struct cache *cache, struct bundle **bundle, const struct later *later,
		 struct answer *ret_answer);

/* A value that arrives in parts. length is UINT64_MAX when it is not known.
 * Returns NULL and an error in *ret_answer when it can be refused at once. */
struct upload *upload_open(struct cache *cache, const struct put *put, uint64_t length,
			   struct answer *ret_answer);
/* Takes one part of at most CACHE_PART_MAX bytes. Returns 0, or -1 and the error in *ret_answer: the
 * upload is void then and the caller frees it with upload_abort(). */
int upload_write(struct upload *upload, struct slice part, struct answer *ret_answer);
/* True when the next part may come; if not, ask again at on_room. Where the store is full and its tenant is the largest
 * with nothing else to give, an upload is void before its end: the next part, or its end, hears BUSY. */
bool upload_ready(const struct upload *upload);
/* Accepts the value whole. Takes the upload, in every case. Returns CACHE_NOW or CACHE_LATER. */
int upload_finish(struct upload **upload, const struct later *later,
		  struct answer *ret_answer);
/* Might the answer be a value? */
bool upload_or_get(const struct upload *upload);
/* Where it will be stored; borrows the upload. */
struct slice upload_namespace(const struct upload *upload);
/* Gives it up: nothing was stored. Takes the upload; NULL is fine. */
void upload_abort(struct upload **upload);

/* One part of a value that is sent. */
struct part {
	/* borrowed until the next download_next() or download_close() */
	struct slice bytes;
	bool last;
	enum error error; /* not 0: the value ends here and is void */
};

/* Asks for the next part: `ready` is called once, from cache_wake() or, when the part is there
 * already, before this returns. Not to be called while one is asked for, nor after the last. */
void download_next(struct download *download,
		   void (*ready)(void *arg, const struct part *part), void *arg);
/* Ends it at any time, and forgets a part that was asked for. Takes the download; NULL is fine. */
void download_close(struct download **download);

int cache_delete(struct cache *cache, const struct target *target, uint64_t only_version,
		 enum ack ack, const struct later *later, struct answer *ret_answer);
/* Delete, and the value with everything about it; the value is always the receiver's (owner, download). */
int cache_take(struct cache *cache, const struct target *target, uint64_t only_version,
	       enum ack ack, const struct later *later, struct answer *ret_answer);
struct incr {
	struct target target;
	struct payer *payer;
	int64_t delta;
	int64_t initial; /* what an absent counter counts as */
	uint64_t ttl_ms; /* of a counter that is made; TTL_NEVER */
	bool only_if_present;
	enum ack ack;
};
int cache_incr(struct cache *cache, const struct incr *incr, const struct later *later,
	       struct answer *ret_answer);
int cache_touch(struct cache *cache, const struct target *target, uint64_t ttl_ms,
		enum ack ack, const struct later *later, struct answer *ret_answer);
/* Neither waits. Whose lease it was is asked of the token. ANSWER_MISS: it is old. */
int cache_release(struct cache *cache, const struct target *target,
		  const uint8_t token[static CACHE_TOKEN_SIZE], enum give_up why,
		  struct answer *ret_answer);
int cache_resume(struct cache *cache, const struct target *target, struct peer *peer,
		 const uint8_t token[static CACHE_TOKEN_SIZE], struct answer *ret_answer);
/* target.key is not used. */
int cache_flush(struct cache *cache, const struct target *target, enum ack ack,
		const struct later *later, struct answer *ret_answer);
/* Every object is absent from now on that was put with one of the tags, which are as in the field TAGS; the caller
 * checks them. target.key is not used. */
int cache_invalidate(struct cache *cache, const struct target *target, struct slice tags,
		     enum ack ack, const struct later *later, struct answer *ret_answer);
int cache_sync(struct cache *cache, uint32_t uid, const struct later *later,
	       struct answer *ret_answer);

/* One page of at most limit keys that start with prefix. answer.value has the entries as PROTOCOL.md
 * lays them out. A cursor that the cache did not give out is ERROR_BAD_REQUEST. */
int cache_scan(struct cache *cache, const struct target *target, struct slice prefix,
	       struct slice cursor, unsigned limit, const struct later *later,
	       struct answer *ret_answer);

/* Who asks for figures. An administrator gets those of the whole store and of every namespace; others those of what is
 * their own, and of the shared namespaces that they may read, and nothing in them depends on what others do elsewhere. */
struct stats_reader {
	uint32_t uid;
	/* Both are asked when the figures are read, which may be later. NULL: it is none; it may nothing. */
	bool (*admin)(void *arg);
	enum right (*may)(void *arg, struct slice namespace); /* of shared namespaces */
	void *arg;
};
/* Lines of `scope TAB name TAB value LF`. */
int cache_stats(struct cache *cache, const struct stats_reader *reader,
		const struct later *later, struct answer *ret_answer);

/* One page of all that is stored is read and checked, and what namespaces hold recounted, as PROTOCOL.md says. answer.value
 * has lines; a cursor that the cache did not give out is ERROR_BAD_REQUEST. The caller makes sure that an administrator
 * asks. */
int cache_verify(struct cache *cache, uint32_t uid, struct slice cursor,
		 const struct later *later, struct answer *ret_answer);

/* Do the threads that the loop depends on still work? Asked from time to time, each time it looks again. */
struct cache_health {
	const char *
		silent; /* what has given no sign of life for minutes; NULL: all is well */
	uint64_t used_bytes, limit_bytes; /* of the store */
};
void cache_examine(struct cache *cache, struct cache_health *ret_health);

/* Why the store can not be used any more (its file was found damaged, or was deleted): the server lets it
 * go and starts anew. NULL while all is well. */
const char *cache_lost(const struct cache *cache);

/* What HELLO announces. */
uint64_t cache_max_value(const struct cache *cache);
/* What max_size comes to; *ret_why is static. */
uint64_t cache_max_size(const struct cache *cache, const char **ret_why);
uint64_t cache_epoch(const struct cache *cache);

#endif
