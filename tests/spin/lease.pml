/* lease.pml - the lease protocol, for Spin to try every order of events.
 *
 * What stands where, of daemon/lease.c and of PROTOCOL.md:
 *   daemon                one loop thread: each answer, timer and noticed end of a connection is one step (atomic, ended
 *                         by done(), where the properties are)
 *   consider() ask()      GET with LEASE; lease_ask() and lease_wait()
 *   walk() walk_of_grant()  closes_circle(), when somebody parks, and when somebody who waits is granted it
 *   grant() pass()        grant(), pass(): the lease begins; it goes to the first who would compute
 *   put() wake() told     PUT; lease_valid() and lease_published(): all who wait are told to look again, each at its turn
 *   remove()              DELETE, FLUSH; lease_revoked()
 *   give_up() take_up()   RELEASE, RESUME; lease_release(), lease_resume()
 *   ended()               a connection is closed, or its process is: peer_free(), peer_died()
 *   clock_ends() reserve_ends()  lease_tick(): run_out()
 *   begin_exit() leave()  GOAWAY and "ask again": lease_leave(); lease_saved() when the last request is answered
 *   start() crash()       lease_reserve() of what was saved, which is gone from the disk by then; an end without any of that
 *   client                a thread that asks, computes (and asks for another key while it does), puts, gives up, dies, is
 *                         cut off, comes back, hangs past its lease time. Threads of one computation share a holder id
 *   stranger              deletes, and puts without a token
 *
 * What a client cannot tell apart is not modelled twice: a request or an answer under way is a client that
 * is slow, and one that never arrived is a connection that was cut.
 *
 * Beside the daemon's entries stands what DESIGN says each token to be (truth): LIVE until its holder's end, the
 * clock's, a put, a delete or a release; GONE while it may still publish; OLD. The daemon's steps never read it: it
 * is changed by what happened, and the properties are the daemon's answers held against it:
 *
 *   at_most_one_valid_holder          nobody is granted a key for which a live token is out
 *   no_old_token_is_accepted          by PUT, nor by RESUME
 *   a_valid_token_publishes           a put with a token is refused only when that is old
 *   no_waiter_is_forgotten            who is parked waits for a holder, or for one whose time to come back runs; who
 *                                     only waits, for a key that is not there
 *   no_lease_is_nobodys               the daemon knows of a connection that is not closed for every lease that is held
 *   nobody_is_parked_through_an_exit  while the daemon ends, nobody waits for a computation
 *   no_circle_waits_for_itself        no holder id waits, over whatever keys, for itself
 *   two_failures_are_enough           nobody waits behind a key whose computation failed twice in a row
 *   "invalid end state"               Spin's own: something never ends. All work here is bounded, so every run ends,
 *                                     and it must end with every client answered
 *
 * Bounds and habits are macros, so that each configuration (tests/spin/run) is small. A mistake (below)
 * breaks one rule; the property that guards it must then be found violated. */

#ifndef CLIENTS
#define CLIENTS 3
#endif
#define KEYS 2
#define SLOTS (2 * CLIENTS) /* connections: a client's own, and one that was cut and is not noticed yet */
#define DEEP 2              /* a computation within a computation */
#define TOKENS 15

/* Each client's habits. */
#ifndef HOLDER /* holder id; the same one: threads of one computation */
#define HOLDER(i) ((i) + 1)
#endif
#ifndef ASKS /* how often it asks for a key */
#define ASKS(i) 1
#endif
#ifndef INNER /* how often it asks while it computes */
#define INNER(i) 1
#endif
#ifndef FIRST /* what it asks for: 0, 1, ANY */
#define FIRST(i) ANY
#endif
#ifndef INSIDE /* what it asks for while it computes */
#define INSIDE(i) ANY
#endif
#ifndef TIMED /* its leases end by the clock as well */
#define TIMED(i) false
#endif
#ifndef DEADLINE /* its WAIT ends */
#define DEADLINE(i) false
#endif
#ifndef WAITS_NOT /* its WAIT is 0 */
#define WAITS_NOT(i) false
#endif
#ifndef ONLY_WAITS /* LEASE 2: wants the value, does not compute */
#define ONLY_WAITS(i) false
#endif
#ifndef PICKY /* what is stored is never good enough for it: NOT_VERSION, MAX_AGE */
#define PICKY(i) false
#endif
#ifndef JOINS /* while it computes, it may wait for what this other thread of its computation asked for */
#define JOINS(i) CLIENTS
#endif
/* How often these happen, in all. */
#ifndef FAULTS /* a client dies, is cut off, walks away while it waits, or hangs */
#define FAULTS 1
#endif
#ifndef FAILURES /* computations that fail or give a result that cannot be kept */
#define FAILURES 1
#endif
#ifndef REMOVED /* what the stranger deletes and puts */
#define REMOVED ANY
#endif
#ifndef DELETES
#define DELETES 1
#endif
#ifndef PUTS /* without a token, by a stranger */
#define PUTS 0
#endif
#ifndef EXITS
#define EXITS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif

/* A rule that is broken on purpose. */
#define NO_MISTAKE 0
#define NUMBERS_START_OVER 1
#define GRANT_UNCHECKED 2
#define PARKED_WHILE_LEAVING 3
#define RESERVED_HAS_NO_ID 4
#define NO_CIRCLE_CHECK 5
#define RESERVED_IS_FREE 6
#define LATE_PUT 7
#define TOKEN_CHECKED_AT_BEGIN 8
#define RELEASE_BY_ANYBODY 9
#define FAILS_FOR_EVER 10
#define RESUMED_WITHOUT_ITS_END 11
#define RESUMED_WITHOUT_ITS_ID 12
#define RESUMED_ON_THE_OLD_CONNECTION 13
#define DELETE_KEEPS_THE_TOKEN 14
#define LAPSE_LOSES_THE_TOKEN 15
#define NO_PASS_ON_DEATH 16
#define DEAD_WAITER_STAYS 17
#define DEAD_WAITER_LOOKS 18
#define LEAVING_IS_DEATH 19
#define CLOCK_FORGETS_WAITERS 20
#define RESERVE_FORGETS_WAITERS 21
#define SAVED_TOO_EARLY 22
#define SAVED_STAYS 23
#define CUT_IS_NOT_SEEN 24
#define WALKS_AWAY_SILENTLY 25
#define REFUSED_AND_SILENT 26
#ifdef MISTAKE /* where trails are looked at: spin cannot replay C */
#define wrong(what) (MISTAKE == what)
#define read_mistake skip
#else /* one program for all of them: a number in its environment */
hidden byte mistake;
#define wrong(what) (mistake == what)
#define read_mistake c_code { mistake = getenv("MISTAKE") ? atoi(getenv("MISTAKE")) : NO_MISTAKE; }
#endif

#define client_of(slot) ((slot) % CLIENTS)
#define slot_of(client) ((client) + CLIENTS * second[client])

mtype = { GET, PUT, RELEASE, RESUME, DELETE };           /* requests */
mtype = { NOTHING, HIT, GRANTED, ALONE, IN_VAIN, AGAIN }; /* answers */
mtype = { UP, LEAVING, DOWN };
mtype = { FREE, HELD, LAPSED, RESERVED };    /* an entry; FREE: there is none */
mtype = { CLOSED, OPEN, CUT };               /* a connection; CUT: the client has left it, the daemon does not know */
mtype = { OLD, LIVE, GONE };                 /* the truth about a token; GONE: lapsed */

#define FAILED 1
#define NOT_KEPT 2

chan call = [0] of { mtype, byte, byte, byte, byte };

/* The daemon's. */
typedef entry {
	mtype state = FREE;
	byte holder; /* connection */
	byte token;
	byte id;     /* holder id */
	byte fails;  /* in a row */
	bool timed;  /* it ends by the clock */
}
mtype phase = DOWN; /* nobody comes in before the first start */
bool present[KEYS];
entry leases[KEYS];
chan waiters[KEYS] = [SLOTS] of { byte };
chan told = [SLOTS] of { byte, byte }; /* who is to look again, and at which key */
byte parked[SLOTS]; /* key + 1, or 0 */
byte saved_token[KEYS], saved_id[KEYS];
bool saved_timed[KEYS];
byte exits_left = EXITS, crashes_left = CRASHES;

/* The clients'. */
mtype link[SLOTS] = CLOSED;
bool second[CLIENTS]; /* which of its two it uses */
mtype reply[CLIENTS] = NOTHING;
byte reply_token[CLIENTS];
byte depth[CLIENTS];
byte own_key[CLIENTS * DEEP], own_token[CLIENTS * DEEP];
bool before[CLIENTS * DEEP]; /* the token is of before a crash, whatever its number is now */
bool idle[CLIENTS + 1]; /* wants nothing more */
bool left[CLIENTS]; /* a MISTAKE's: it no longer reads the answer */
byte faults_left = FAULTS, failures_left = FAILURES;

/* The truth. */
mtype truth[TOKENS + 1] = OLD;
byte of_key[TOKENS + 1], of_id[TOKENS + 1], of_slot[TOKENS + 1];

/* Scratch of single steps: never alive between them. */
hidden byte at_most_one_valid_holder, no_old_token_is_accepted, a_valid_token_publishes, no_waiter_is_forgotten, no_lease_is_nobodys,
	nobody_is_parked_through_an_exit, no_circle_waits_for_itself, two_failures_are_enough;
hidden byte id_of_key[KEYS];
hidden byte touched, round, kk, ss, tt, vv, ww, count, next, todo_n;
hidden int used;
hidden byte circle, found;

/* ---- the truth */

#define each(n, limit) n = 0; do :: n < (limit) ->
#define and_next(n) n++ :: else -> n = 0; break od

/* Every token of key k that was LIVE or GONE is now old. */
inline all_old(k)
{
	each(tt, TOKENS + 1)
		if
		:: truth[tt] != OLD && of_key[tt] == k -> truth[tt] = OLD
		:: else
		fi;
	and_next(tt)
}

/* Which tokens somebody still knows. */
inline collect_used(clients_too)
{
	used = 1;
	each(vv, KEYS)
		used = used | (1 << leases[vv].token) | (1 << saved_token[vv]);
	and_next(vv);
	if
	:: clients_too ->
		each(vv, CLIENTS) used = used | (1 << reply_token[vv]); and_next(vv);
		each(vv, CLIENTS * DEEP) used = used | (1 << own_token[vv]); and_next(vv)
	:: else
	fi
}

/* What is known about a token that nobody knows is forgotten, so that equal states look equal. */
inline tidy()
{
	collect_used(true);
	each(tt, TOKENS + 1)
		if
		:: (used & (1 << tt)) == 0 && truth[tt] != LIVE ->
			truth[tt] = OLD; of_key[tt] = 0; of_id[tt] = 0; of_slot[tt] = 0
		:: truth[tt] == OLD -> of_key[tt] = 0; of_id[tt] = 0; of_slot[tt] = 0
		:: else
		fi;
	and_next(tt)
}

/* ---- the walk: who waits for whom, from one key, by id_of_key[]. circle: it came to the id. */

inline walk(who, from)
{
	touched = 1 << (from);
	circle = false;
	each(round, KEYS)
		each(kk, KEYS)
			if
			:: (touched & (1 << kk)) != 0 && id_of_key[kk] != 0 ->
				if
				:: id_of_key[kk] == who -> circle = true
				:: else
				fi;
				each(ss, SLOTS)
					if
					:: parked[ss] != 0 && HOLDER(client_of(ss)) == id_of_key[kk] ->
						touched = touched | (1 << (parked[ss] - 1))
					:: else
					fi;
				and_next(ss)
			:: else
			fi;
		and_next(kk);
	and_next(round)
}

inline ids_by_daemon()
{
	each(kk, KEYS)
		if
		:: leases[kk].state == HELD || leases[kk].state == RESERVED -> id_of_key[kk] = leases[kk].id
		:: else -> id_of_key[kk] = 0
		fi;
	and_next(kk)
}

inline ids_by_truth()
{
	each(kk, KEYS) id_of_key[kk] = 0; and_next(kk);
	each(tt, TOKENS + 1)
		if
		:: truth[tt] == LIVE -> id_of_key[of_key[tt]] = of_id[tt]
		:: else
		fi;
	and_next(tt)
}

/* ---- the daemon's rules */

inline answer(slot, what, tok)
{
	if
	:: link[slot] == OPEN && slot_of(client_of(slot)) == slot && !left[client_of(slot)] ->
		reply[client_of(slot)] = what;
		reply_token[client_of(slot)] = tok
	:: else /* nobody reads it */
	fi
}

inline end_entry(k)
{
	leases[k].state = FREE;
	leases[k].holder = 0;
	leases[k].token = 0;
	leases[k].id = 0;
	leases[k].fails = 0;
	leases[k].timed = false
}

inline grant(k, slot)
{
	each(tt, TOKENS + 1)
		if
		:: truth[tt] == LIVE && of_key[tt] == k -> at_most_one_valid_holder = false
		:: else
		fi;
	and_next(tt);
	all_old(k);
	leases[k].token = 0;
	collect_used(!wrong(NUMBERS_START_OVER));
	tt = 1;
	do
	:: (used & (1 << tt)) != 0 -> tt++
	:: else -> break
	od;
	assert(tt <= TOKENS);
	truth[tt] = LIVE;
	of_key[tt] = k;
	of_id[tt] = HOLDER(client_of(slot));
	of_slot[tt] = slot;
	leases[k].state = HELD;
	leases[k].holder = slot;
	leases[k].token = tt;
	leases[k].id = HOLDER(client_of(slot));
	leases[k].timed = TIMED(client_of(slot));
	answer(slot, GRANTED, tt);
	tt = 0
}

/* Would the grant of k to this waiter close a circle? Its id may wait elsewhere, in another thread, for one that waits
 * for k: the walk at its parking saw k's holder of then. */
inline walk_of_grant(k, slot)
{
	ids_by_daemon();
	found = false;
	each(ww, SLOTS)
		if
		:: ww != slot && parked[ww] != 0 && HOLDER(client_of(ww)) == HOLDER(client_of(slot)) ->
			walk(0, parked[ww] - 1);
			if
			:: (touched & (1 << (k))) != 0 -> found = true
			:: else
			fi
		:: else
		fi;
	and_next(ww)
}

/* Those who wait for k are told the same; who only waits is left out unless `watchers_too`. */
inline tell_all(k, what, watchers_too)
{
	todo_n = len(waiters[k]);
	do
	:: todo_n > 0 ->
		waiters[k]?next;
		if
		:: ONLY_WAITS(client_of(next)) && !watchers_too -> waiters[k]!next
		:: else -> parked[next] = 0; answer(next, what, 0)
		fi;
		todo_n--
	:: else -> next = 0; break
	od
}

/* The lease of k goes to the first who would compute; who only waits goes on. Without anybody, the entry becomes
 * what `otherwise` says. */
inline pass(k, otherwise)
{
	todo_n = len(waiters[k]);
	found = false;
	count = 0; /* 1: granted */
	do
	:: todo_n > 0 ->
		waiters[k]?next;
		if
		:: count == 1 || ONLY_WAITS(client_of(next)) -> waiters[k]!next
		:: else ->
			parked[next] = 0;
			if
			:: wrong(GRANT_UNCHECKED)
			:: else -> walk_of_grant(k, next)
			fi;
			if
			:: found -> answer(next, ALONE, 0)
			:: else -> grant(k, next); count = 1
			fi
		fi;
		todo_n--
	:: else -> break
	od;
	next = 0;
	if
	:: count == 1
	:: else ->
		if
		:: otherwise == LAPSED -> leases[k].state = LAPSED; leases[k].holder = 0; leases[k].id = 0
		:: else -> all_old(k); end_entry(k)
		fi
	fi;
	count = 0;
	found = false
}

/* A GET with LEASE, the first time or anew. */
inline consider(k, slot)
{
	if
	:: present[k] && !PICKY(client_of(slot)) -> answer(slot, HIT, 0)
	:: else ->
		if
		:: phase == LEAVING && !wrong(PARKED_WHILE_LEAVING) -> answer(slot, AGAIN, 0)
		:: else -> ask(k, slot)
		fi
	fi
}

inline ask(k, slot)
{
	ids_by_daemon();
	each(kk, KEYS)
		if
		:: wrong(RESERVED_HAS_NO_ID) && leases[kk].state == RESERVED -> id_of_key[kk] = 0
		:: else
		fi;
	and_next(kk);
	walk(HOLDER(client_of(slot)), k);
	if
	:: wrong(NO_CIRCLE_CHECK) -> circle = (id_of_key[k] == HOLDER(client_of(slot)))
	:: else
	fi;
	if
	:: (leases[k].state == FREE || leases[k].state == LAPSED ||
			(wrong(RESERVED_IS_FREE) && leases[k].state == RESERVED)) && !ONLY_WAITS(client_of(slot)) ->
		walk_of_grant(k, slot);
		if
		:: found -> answer(slot, ALONE, 0)
		:: else -> grant(k, slot)
		fi;
		found = false
	:: else ->
		if
		:: circle && !ONLY_WAITS(client_of(slot)) -> answer(slot, ALONE, 0)
		:: (circle && ONLY_WAITS(client_of(slot))) || (!circle && WAITS_NOT(client_of(slot))) -> answer(slot, IN_VAIN, 0)
		:: else -> waiters[k]!slot; parked[slot] = k + 1
		fi
	fi
}

/* After a put: everybody who waited looks again, in turn, but later: many wait, and others want their turn. */
inline wake(k)
{
	do
	:: len(waiters[k]) > 0 ->
		waiters[k]?next;
		parked[next] = 0;
		told!next, k
	:: else -> next = 0; break
	od
}

/* `begun`: whether the token was good when the first byte came, which must not matter. `from_before`: of before a crash. */
inline put(k, tok, from_before, begun)
{
	if
	:: tok == 0 ||
		(leases[k].state != FREE && leases[k].token == tok) ||
		(wrong(LATE_PUT) && leases[k].state != FREE) ||
		(wrong(TOKEN_CHECKED_AT_BEGIN) && begun)
		->
		if
		:: tok != 0 && (truth[tok] == OLD || from_before) -> no_old_token_is_accepted = false
		:: else
		fi;
		all_old(k);
		end_entry(k);
		present[k] = true;
		wake(k)
	:: else ->
		if
		:: truth[tok] != OLD && !from_before -> a_valid_token_publishes = false
		:: else
		fi
	fi
}

inline give_up(k, tok, why)
{
	if
	:: leases[k].state != FREE &&
		(leases[k].token == tok || wrong(RELEASE_BY_ANYBODY))
		->
		if
		:: truth[tok] != OLD && of_key[tok] == k -> truth[tok] = OLD
		:: else
		fi;
		leases[k].fails++;
		if
		:: why == NOT_KEPT ||
			(leases[k].fails == 2 && !wrong(FAILS_FOR_EVER))
			->
			tell_all(k, ALONE, false);
			all_old(k);
			end_entry(k)
		:: else -> pass(k, FREE)
		fi
	:: else
	fi
}

/* Its holder id stays, and its end by the clock. */
inline take_up(k, tok, slot, from_before)
{
	if
	:: leases[k].state != FREE && leases[k].token == tok && phase == UP ->
		if
		:: truth[tok] == OLD || from_before -> no_old_token_is_accepted = false
		:: else -> truth[tok] = LIVE; of_slot[tok] = slot; of_id[tok] = HOLDER(client_of(slot))
		fi;
		if
		:: wrong(RESUMED_WITHOUT_ITS_END) && leases[k].state != HELD -> leases[k].timed = false
		:: else
		fi;
		leases[k].id = (wrong(RESUMED_WITHOUT_ITS_ID) -> 0 : HOLDER(client_of(slot)));
		if
		:: wrong(RESUMED_ON_THE_OLD_CONNECTION) && leases[k].state == HELD
		:: else -> leases[k].holder = slot
		fi;
		leases[k].state = HELD
	:: else
	fi
}

inline remove(k)
{
	present[k] = false;
	all_old(k);
	leases[k].fails = 0;
	if
	:: leases[k].state != FREE && !wrong(DELETE_KEEPS_THE_TOKEN) -> pass(k, FREE)
	:: else
	fi
}

/* The holder of k is gone, or its time is over. */
inline holder_ends(k)
{
	if
	:: wrong(LAPSE_LOSES_THE_TOKEN) && len(waiters[k]) == 0 -> end_entry(k)
	:: else -> pass(k, LAPSED)
	fi
}

inline ended_key(k, slot)
{
	if
	:: wrong(NO_PASS_ON_DEATH) && leases[k].state == HELD && leases[k].holder == slot -> leases[k].state = LAPSED
	:: !wrong(NO_PASS_ON_DEATH) && leases[k].state == HELD && leases[k].holder == slot -> holder_ends(k)
	:: else
	fi
}

/* The end of a connection is seen. While the daemon leaves it is no death: clients leave as well, because of GOAWAY. */
inline ended(slot)
{
	link[slot] = CLOSED;
	if
	:: parked[slot] != 0 && !wrong(DEAD_WAITER_STAYS) -> kk = parked[slot] - 1; waiters[kk]??eval(slot); kk = 0; parked[slot] = 0
	:: told??[eval(slot), 0] && !wrong(DEAD_WAITER_LOOKS) -> told??eval(slot), 0
	:: told??[eval(slot), 1] && !wrong(DEAD_WAITER_LOOKS) -> told??eval(slot), 1
	:: else
	fi;
	if
	:: phase == UP ->
		each(tt, TOKENS + 1)
			if
			:: truth[tt] == LIVE && of_slot[tt] == slot -> truth[tt] = GONE
			:: else
			fi;
		and_next(tt)
	:: else
	fi;
	if
	:: phase == UP ||
		(wrong(LEAVING_IS_DEATH) && phase == LEAVING)
		->
		ended_key(0, slot);
		ended_key(1, slot)
	:: else
	fi
}

inline clock_ends(k)
{
	truth[leases[k].token] = GONE;
	if
	:: wrong(CLOCK_FORGETS_WAITERS) -> leases[k].state = LAPSED
	:: else -> holder_ends(k)
	fi
}

/* The 10 s after a start are over, and nobody took k up. */
inline reserve_ends(k)
{
	truth[leases[k].token] = OLD;
	if
	:: wrong(RESERVE_FORGETS_WAITERS) -> end_entry(k)
	:: else -> pass(k, FREE)
	fi
}

inline save()
{
	each(vv, KEYS)
		if
		:: leases[vv].state == HELD || leases[vv].state == RESERVED -> saved_token[vv] = leases[vv].token; saved_id[vv] = leases[vv].id; saved_timed[vv] = leases[vv].timed
		:: else -> saved_token[vv] = 0; saved_id[vv] = 0; saved_timed[vv] = false
		fi;
	and_next(vv)
}

inline begin_exit()
{
	phase = LEAVING;
	exits_left--;
	if
	:: wrong(SAVED_TOO_EARLY) -> save()
	:: else
	fi;
	tell_all(0, AGAIN, true);
	tell_all(1, AGAIN, true)
}

inline down()
{
	do
	:: len(told) > 0 -> told?_, _
	:: else -> break
	od;
	each(vv, KEYS)
		do
		:: len(waiters[vv]) > 0 -> waiters[vv]?_
		:: else -> break
		od;
		end_entry(vv);
	and_next(vv);
	each(vv, SLOTS) parked[vv] = 0; link[vv] = CLOSED; and_next(vv);
	phase = DOWN
}

inline leave()
{
	/* What lapsed is not saved. */
	each(tt, TOKENS + 1)
		if
		:: truth[tt] == GONE -> truth[tt] = OLD
		:: else
		fi;
	and_next(tt);
	if
	:: wrong(SAVED_TOO_EARLY)
	:: else -> save()
	fi;
	down()
}

inline crash()
{
	crashes_left--;
	each(tt, TOKENS + 1) truth[tt] = OLD; and_next(tt);
	each(vv, CLIENTS * DEEP)
		if
		:: own_token[vv] != 0 -> before[vv] = true
		:: else
		fi;
	and_next(vv);
	each(vv, CLIENTS) /* an answer that was not read is lost with the connection */
		if
		:: reply[vv] != NOTHING -> reply[vv] = NOTHING; reply_token[vv] = 0
		:: else
		fi;
	and_next(vv);
	down()
}

/* The saved tokens are taken off the disk before the first request. */
inline start()
{
	each(vv, KEYS)
		if
		:: saved_token[vv] != 0 ->
			leases[vv].state = RESERVED;
			leases[vv].token = saved_token[vv];
			leases[vv].id = saved_id[vv];
			leases[vv].timed = saved_timed[vv]
		:: else
		fi;
		if
		:: wrong(SAVED_STAYS)
		:: else -> saved_token[vv] = 0; saved_id[vv] = 0; saved_timed[vv] = false
		fi;
	and_next(vv);
	phase = UP
}

/* ---- what must hold after every step */

inline begin()
{
	at_most_one_valid_holder = true;
	no_old_token_is_accepted = true;
	a_valid_token_publishes = true;
	no_waiter_is_forgotten = true;
	no_lease_is_nobodys = true;
	nobody_is_parked_through_an_exit = true;
	no_circle_waits_for_itself = true;
	two_failures_are_enough = true
}

inline done()
{
	assert(at_most_one_valid_holder);
	assert(no_old_token_is_accepted);
	assert(a_valid_token_publishes);
	each(vv, KEYS)
		if
		:: leases[vv].state == HELD && phase == UP && link[leases[vv].holder] == CLOSED -> no_lease_is_nobodys = false
		:: else
		fi;
		if
		:: leases[vv].fails > 1 -> two_failures_are_enough = false
		:: else
		fi;
	and_next(vv);
	assert(no_lease_is_nobodys);
	assert(two_failures_are_enough);
	each(vv, SLOTS)
		if
		:: parked[vv] != 0 ->
			kk = parked[vv] - 1;
			if
			:: phase != UP -> nobody_is_parked_through_an_exit = false
			:: else
			fi;
			if
			:: link[vv] == CLOSED || (present[kk] && !PICKY(client_of(vv))) ||
				(leases[kk].state != HELD && leases[kk].state != RESERVED && !ONLY_WAITS(client_of(vv))) ->
				no_waiter_is_forgotten = false
			:: else
			fi
		:: else
		fi;
	and_next(vv);
	kk = 0;
	assert(no_waiter_is_forgotten);
	assert(nobody_is_parked_through_an_exit);
	ids_by_truth();
	each(vv, SLOTS)
		if
		:: parked[vv] != 0 && link[vv] == OPEN ->
			walk(HOLDER(client_of(vv)), parked[vv] - 1);
			if
			:: circle -> no_circle_waits_for_itself = false
			:: else
			fi
		:: else
		fi;
	and_next(vv);
	assert(no_circle_waits_for_itself);
	tidy()
}

inline forget_top(client)
{
	depth[client] = depth[client] - 1;
	own_key[client * DEEP + depth[client]] = 0;
	own_token[client * DEEP + depth[client]] = 0;
	before[client * DEEP + depth[client]] = false
}

/* The answer to PUT and RELEASE is read at once: what it says changes nothing. */
inline over(slot)
{
	if
	:: slot < SLOTS -> forget_top(client_of(slot))
	:: else
	fi
}

#define ripe(k) (phase == UP && leases[k].state == HELD && leases[k].timed)
#define overripe(k) (phase == UP && leases[k].state == RESERVED)
#define left_alone(s) (phase != DOWN && link[s] == CUT)
#define overdue(s) (phase == UP && parked[s] != 0 && DEADLINE(client_of(s)))
#define for_slot(guard, s) :: guard(s) -> slot = s
#if CLIENTS == 2
#define for_slots(guard) for_slot(guard, 0) for_slot(guard, 1) for_slot(guard, 2) for_slot(guard, 3)
#elif CLIENTS == 3
#define for_slots(guard) for_slot(guard, 0) for_slot(guard, 1) for_slot(guard, 2) for_slot(guard, 3) \
	for_slot(guard, 4) for_slot(guard, 5)
#else
#define for_slots(guard) for_slot(guard, 0) for_slot(guard, 1) for_slot(guard, 2) for_slot(guard, 3) \
	for_slot(guard, 4) for_slot(guard, 5) for_slot(guard, 6) for_slot(guard, 7)
#endif
#define step(when, what) d_step { when -> begin(); what; done(); true } /* a d_step may not end with a loop */

active proctype daemon()
{
	byte slot, key, token, more;

	read_mistake;
end:
	do
	:: atomic { call?GET(slot, key, token, more) ->
		d_step { begin(); consider(key, slot); done(); slot = 0; key = 0; token = 0; more = 0 } }
	:: atomic { call?PUT(slot, key, token, more) ->
		d_step { begin(); put(key, token, ((more & 1) != 0), ((more & 2) != 0)); over(slot); done();
			slot = 0; key = 0; token = 0; more = 0 } }
	:: atomic { call?RELEASE(slot, key, token, more) ->
		d_step { begin(); give_up(key, token, more); over(slot); done(); slot = 0; key = 0; token = 0; more = 0 } }
	:: atomic { call?RESUME(slot, key, token, more) ->
		d_step { begin(); take_up(key, token, slot, (more != 0)); done();
			slot = 0; key = 0; token = 0; more = 0 } }
	:: atomic { call?DELETE(slot, key, token, more) ->
		d_step { begin(); remove(key); done(); slot = 0; key = 0; token = 0; more = 0 } }

	/* What nobody asked for. */
	:: atomic {
		if
		for_slots(left_alone)
		fi;
		d_step { begin(); ended(slot); done(); slot = 0 } }
	:: atomic {
		if
		:: ripe(0) -> key = 0
		:: ripe(1) -> key = 1
		fi;
		d_step { begin(); clock_ends(key); done(); key = 0 } }
	:: atomic {
		if
		:: overripe(0) -> key = 0
		:: overripe(1) -> key = 1
		fi;
		d_step { begin(); reserve_ends(key); done(); key = 0 } }
	:: atomic { told?slot, key -> d_step { begin(); consider(key, slot); done(); slot = 0; key = 0 } }
	/* The deadline of a waiter. */
	:: atomic {
		if
		for_slots(overdue)
		fi;
		d_step { begin(); key = parked[slot] - 1; waiters[key]??eval(slot); parked[slot] = 0;
			answer(slot, IN_VAIN, 0); done(); slot = 0; key = 0 } }

	:: step(phase == UP && exits_left > 0, begin_exit())
	:: step(phase == LEAVING && len(told) == 0, leave())
	:: step(phase != DOWN && crashes_left > 0, crash())
	:: step(phase == DOWN, start())
	od
}

/* ---- clients */

#define ANY 2
inline choose(which, wanted)
{
	if
	:: wanted != 1 -> which = 0
	:: wanted != 0 -> which = 1
	fi
}

#define my_slot slot_of(me)
#define me (_pid - 1) /* the daemon is 0 */
#define top (me * DEEP + depth[me] - 1)
#define at(d) (me * DEEP + (d))
#define connected (link[my_slot] == OPEN)

/* The client's end of its connection closes; the daemon will see it. */
inline cut()
{
	if
	:: link[my_slot] == OPEN -> link[my_slot] = CUT; second[me] = !second[me]
	:: else
	fi;
	reply[me] = NOTHING;
	reply_token[me] = 0
}

#define can_take_up(d) (depth[me] > (d) && own_token[at(d)] != 0 && connected && \
	leases[own_key[at(d)]].token == own_token[at(d)] && \
	(leases[own_key[at(d)]].state != HELD || leases[own_key[at(d)]].holder != my_slot))

active [CLIENTS] proctype client()
{
	byte asks = ASKS(me), inner = INNER(me), key, begun;

idling:
	atomic {
		if
		:: asks > 0 -> asks--; choose(key, FIRST(me)); idle[me] = false; goto asking
		:: asks == 0 -> idle[me] = true; goto finished
		fi
	}
asking:
	if
	:: atomic { connected -> call!GET(my_slot, key, 0, 0) } goto waiting
	:: atomic { link[my_slot] == CLOSED && phase == UP -> link[my_slot] = OPEN; goto asking }
	:: atomic { can_take_up(0) -> call!RESUME(my_slot, own_key[at(0)], own_token[at(0)], before[at(0)]) } goto asking
	fi;
waiting:
	if
	:: atomic { reply[me] == HIT -> reply[me] = NOTHING; key = 0; goto returned }
	:: atomic { reply[me] == GRANTED || reply[me] == ALONE || reply[me] == IN_VAIN ->
		own_key[at(depth[me])] = key;
		own_token[at(depth[me])] = reply_token[me];
		depth[me] = depth[me] + 1;
		reply[me] = NOTHING;
		reply_token[me] = 0;
		key = 0;
		goto computing }
	:: atomic { reply[me] == AGAIN -> cut(); goto asking }
	:: atomic { reply[me] == NOTHING && link[my_slot] == CLOSED && !wrong(CUT_IS_NOT_SEEN) -> goto asking }
	:: atomic { faults_left > 0 -> faults_left--; cut(); goto asking }
	/* It no longer wants the answer. A lease may be on its way to it: only the end of the connection takes that back. */
	:: atomic { faults_left > 0 && !wrong(WALKS_AWAY_SILENTLY) -> faults_left--; key = 0; cut(); goto returned }
	:: atomic { faults_left > 0 && wrong(WALKS_AWAY_SILENTLY) -> faults_left--; key = 0;
		left[me] = true; reply[me] = NOTHING; reply_token[me] = 0; goto finished }
	:: atomic { faults_left > 0 -> faults_left--; goto dying }
	fi;
returned:
	atomic {
		begun = 0;
		if
		:: depth[me] > 0 -> goto computing
		:: depth[me] == 0 -> goto idling
		fi
	}
computing:
	if
	:: atomic { connected -> call!PUT(my_slot, own_key[top], own_token[top], before[top] + begun) } goto returned
	:: atomic { connected && failures_left > 0 && own_token[top] != 0 -> failures_left--;
		call!RELEASE(my_slot, own_key[top], own_token[top], FAILED) } goto returned
	/* Its result cannot be kept; or PUT was refused, because the value is too large, the disk full. */
	:: atomic { connected && failures_left > 0 && own_token[top] != 0 && !wrong(REFUSED_AND_SILENT) -> failures_left--;
		call!RELEASE(my_slot, own_key[top], own_token[top], NOT_KEPT) } goto returned
	:: atomic { failures_left > 0 && wrong(REFUSED_AND_SILENT) -> failures_left--; forget_top(me); goto returned }
	:: atomic { wrong(TOKEN_CHECKED_AT_BEGIN) && begun == 0 && own_token[top] != 0 &&
		leases[own_key[top]].token == own_token[top] -> begun = 2; goto computing }
	:: atomic { depth[me] < DEEP && inner > 0 -> inner--; choose(key, INSIDE(me)); goto asking }
	:: atomic { link[my_slot] == CLOSED && phase == UP -> link[my_slot] = OPEN; goto computing }
	:: atomic { can_take_up(0) -> call!RESUME(my_slot, own_key[at(0)], own_token[at(0)], before[at(0)]) } goto computing
	:: atomic { can_take_up(1) -> call!RESUME(my_slot, own_key[at(1)], own_token[at(1)], before[at(1)]) } goto computing
	:: atomic { connected && faults_left > 0 -> faults_left--; cut(); goto computing }
	:: atomic { faults_left > 0 -> faults_left--; goto dying }
	:: atomic { TIMED(me) && faults_left > 0 -> faults_left--; goto hanging }
	:: atomic { JOINS(me) < CLIENTS -> goto joining }
	fi;
joining: /* it cannot go on before another thread of the same computation has all that it asked for */
	atomic { idle[JOINS(me)] -> goto computing }
hanging: /* for ever, or until its lease is no longer its own, and then it puts */
end_hanging:
	atomic { connected && truth[own_token[top]] != LIVE ->
		call!PUT(my_slot, own_key[top], own_token[top], before[top] + begun) }
	goto returned;
dying:
	atomic {
		cut();
		do
		:: depth[me] > 0 -> forget_top(me)
		:: depth[me] == 0 -> break
		od;
		key = 0;
		begun = 0;
		idle[me] = true
	}
finished:
	atomic { asks = 0; inner = 0 }
end_finished:
	false
}

active proctype stranger()
{
	byte deletes = DELETES, puts = PUTS, key;

end:
	do
	:: atomic { deletes > 0 && phase != DOWN -> deletes--; choose(key, REMOVED);
		call!DELETE(SLOTS, key, 0, 0); key = 0 }
	:: atomic { puts > 0 && phase != DOWN -> puts--; choose(key, REMOVED); call!PUT(SLOTS, key, 0, 0); key = 0 }
	od
}

