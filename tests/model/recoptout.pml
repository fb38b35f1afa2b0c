/* SPDX-License-Identifier: MIT */
/*
 * Stop, keep, erase: what may happen between the media thread, the host, the
 * workers, two journals, the buffer, a store and a crash at any step between.
 * docs/model.md says which function each step stands for, what is left out, and
 * which promise each assertion is.
 *
 * All that is known stands in global variables, and each process is one loop of
 * guarded steps. So a crash is one step too: it resets what a process forgets.
 * Faults and crashes are numbered, and no step repeats itself: each run ends,
 * and Judge looks at every end.
 */
#ifndef FRAMES
#define FRAMES 2 /* of call 0 */
#endif
#ifndef FRAMES1
#define FRAMES1 1 /* of call 1 */
#endif
#ifndef CRASHES
#define CRASHES 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif

/* Which calls meet with it, a bit for each. */
#ifndef SLOW
#define SLOW 1 /* a store that answers late, loses answers, and lets parts arrive late */
#endif
#ifndef LOSES
#define LOSES 0 /* a store in which an abort beside a commit that still runs loses the bytes of what is listed */
#endif
#ifndef HOSTED
#define HOSTED 0 /* the host's recorder writes a file besides */
#endif
#ifndef UNBORN
#define UNBORN 0 /* not known at the beginning, and somebody may object to it already */
#endif
#ifndef COARSE
#define COARSE 0 /* fewer steps: looking at the latch and acting upon it are one, and so on */
#endif
#define has(feature, s) (((feature) >> (s)) & 1)

#define FRAMES_OF(s) ((s) == 0 -> FRAMES : FRAMES1)

/* latch */
#define OPEN   0
#define OPTED  1
#define CLOSED 2

/* phase */
#define LIVE    0
#define RETURN  1 /* the rings are empty for good: give them back */
#define SEAL    2
#define INTENT  3
#define FENCE   4 /* an earlier upload, whose commit was not asked for, is given up */
#define HEAD    5 /* the store does not know the upload any more: did it finish? */
#define BEGIN   6
#define SEND    7
#define WINDOW  8
#define COMMIT  9
#define NOTE    10
#define RELEASE 11
#define CLOSE   12
#define STORED  13
#define ERASE   14 /* from here on nothing leads back */
#define WIPE    15
#define ABORT   16
#define REMOVE  17
#define VERIFY  18
#define SWEEP   19
#define CLEAN   20
#define ERASED  21

/* how far the calls journal is about a call; the ledger */
#define J_BEGIN      1
#define J_INTENT     2
#define J_COMMITTING 3 /* the commit is asked for */
#define J_LOST       4 /* that upload was lost, which happens once in a run; of the next: */
#define J_AGAIN      5 /* its commit is asked for */
#define J_COMMITTED  6
#define J_CLOSED     7
#define IN_DOUBT(j)  ((j) == J_COMMITTING || (j) == J_AGAIN)
#define L_TOMB      1
#define L_CLOSED    2

/* what is on its way to the store */
#define NOTHING 0
#define PART    1
#define FINISH  2

/* life */
#define UNKNOWN 0
#define NAMED   1 /* found by its id, and not yet asked whether somebody objected */
#define BORN    2
#define GONE    3

/* receipts */
#define OWN    1
#define BEFORE 2

typedef Call {
	/* the process's memory */
	unsigned life : 2;
	unsigned latch : 2;
	unsigned durable : 1;
	unsigned receipt : 2;
	unsigned ended : 1;
	unsigned passed : 1; /* the window has passed */
	unsigned phase : 5;
	unsigned go : 1;     /* the worker looked at the latch, and goes on */
	unsigned op : 1;     /* the store was asked something */
	unsigned begun : 1;  /* flags of the copy */
	unsigned doubt : 1;  /* its commit was asked for */
	unsigned committed : 1;
	unsigned wiped : 1;
	unsigned revoked : 1;
	unsigned media : 2;  /* 1 inside, 2 has copied a frame */
	unsigned asker : 2;  /* 1 latched, 2 gates stopped */
	unsigned rec : 1;    /* the host's recorder runs */
	unsigned pre : 1;    /* an objection waits for the call */
	/* shared memory: survives the process */
	unsigned ring : 1;
	unsigned stop : 1;
	unsigned shut : 1;
	unsigned acc : 2;    /* frames accepted */
	unsigned dirty : 1;  /* audio in the ring */
	/* the buffer */
	unsigned bx : 1;     /* it knows the recording */
	unsigned bn : 2;     /* frames in it; ... */
	unsigned bs : 2;     /* ... that survive a power cut */
	/* journals: queued, written, synced */
	unsigned jm : 3;
	unsigned jw : 3;
	unsigned js : 3;
	unsigned lm : 2;
	unsigned lw : 2;
	unsigned ls : 2;
	unsigned prm : 2;    /* an objection before birth: 1 queued, 2 written, 3 synced */
	unsigned aw : 2;     /* the host's file in the calls journal: 1 queued, 2 written, 3 synced */
	/* the store and the host's disk */
	unsigned up : 2;     /* an upload is open; with a part */
	unsigned pn : 2;     /* frames in its part */
	unsigned coming : 2;
	unsigned stray : 2;  /* a part of an upload that was given up: 1 coming, 2 there */
	unsigned obj : 1;
	unsigned on : 2;     /* frames in it */
	unsigned art : 1;
	/* what the world knows */
	unsigned asked : 1;
	unsigned told : 2;   /* 1 "it stopped", 2 "durable" */
	unsigned told_id : 2;
	unsigned due : 1;    /* must be erased, whatever happens */
	unsigned commits : 1;
	unsigned late : 2;   /* pieces handed on after the objection */
};

Call c[CALLS];
byte crashes, faults;

#define C c[s]
#define opted(s) (c[s].latch == OPTED)
#define gate_open(s) (!c[s].stop && !c[s].shut)

/* ---- the media thread: rco_session_push() ---- */

inline tell(s, what)
{
	if
	:: has(UNBORN, s) ->
		assert(C.told_id == 0 || C.told_id == C.receipt); /* P6 */
		C.told_id = C.receipt
	:: else
	fi;
	if
	:: C.told < what -> C.told = what
	:: else
	fi;
	if
	:: what == 2 -> C.due = 1
	:: else
	fi
}

proctype Media(byte s)
{
end:
	do
	:: d_step { C.media == 0 && C.ring && gate_open(s) && C.acc < FRAMES_OF(s) ->
		C.media = (has(COARSE, s) -> 2 : 1) }
	:: d_step { C.media == 1 ->
		assert(C.ring); /* P8 */
		C.media = 2 }
	:: d_step { C.media == 2 ->
		if
#ifdef MUTANT_commit_without_cas
		:: true ->
#else
		:: gate_open(s) ->
#endif
			assert(!C.stop && C.told == 0); /* P1 */
			assert(C.ring);
			C.acc = C.acc + 1;
			C.dirty = 1
#ifndef MUTANT_commit_without_cas
		:: else
#endif
		fi;
		C.media = 0 }
	od
}

/* ---- the host: start, hang-up, objection; and time ---- */

/* rco__early_apply() */
inline be_born(s)
{
	if
	:: C.pre ->
		C.pre = 0;
		C.latch = OPTED;
		C.receipt = BEFORE;
		C.durable = (C.prm == 3);
		C.lm = L_TOMB
	:: else
	fi;
	C.life = BORN
}

inline start(s)
{
	/* One who was told that it holds, before the call was known, was told the truth. */
	assert(C.told < 2); /* P12 */
	C.ring = 1;
	C.shut = 0;
	C.jm = J_BEGIN;
	if
	:: has(HOSTED, s) ->
		C.rec = 1;
		C.art = 1;
#ifdef MUTANT_artifact_not_synced
		C.jw = C.jm;
		C.aw = 2
#else
		C.jw = C.jm;
		C.js = C.jm;
		C.aw = 3
#endif
	:: else
	fi
}

proctype Host(byte s)
{
end:
	do
	:: d_step { C.life == UNKNOWN ->
#ifdef MUTANT_named_before_asked
		C.life = NAMED }
	:: d_step { C.life == NAMED ->
#endif
#ifdef MUTANT_no_look_early
		C.life = BORN
#else
		be_born(s)
#endif
		}
	:: d_step { C.life == BORN && !C.ring && C.phase == LIVE && !C.ended && !opted(s) && C.jm <= J_BEGIN && C.shut == 0 ->
		start(s) }
	:: d_step { C.life == BORN && (C.ring || opted(s)) && !C.ended ->
		C.ended = 1;
		C.shut = has(COARSE, s) }
	:: d_step { C.ended && !C.shut ->
		C.shut = 1 }
	/* Earlier than this it would only keep objections away. */
	:: d_step { C.ended && C.shut && !C.passed && C.phase == WINDOW ->
		C.passed = 1 }
	:: d_step { C.rec && (opted(s) || C.ended) ->
		C.rec = 0 }
	:: d_step { C.rec && !C.art ->
		C.art = 1 } /* it writes on */
	od
}

/* rco_opt_out(), rco_engine_opt_out(). */
proctype Asker(byte s)
{
end:
	do
	/* A call nobody knows yet. */
	:: d_step { has(UNBORN, s) && C.life == UNKNOWN && !C.pre && !C.asked ->
		C.pre = 1;
		C.asked = 1;
		C.prm = 1;
		C.receipt = BEFORE;
		tell(s, 1);
		C.receipt = OWN }
	:: d_step { C.pre && C.prm == 3 && C.told < 2 ->
		C.receipt = BEFORE;
		tell(s, 2);
		C.receipt = OWN }
	/* Latch and stop are under the session's lock. */
	:: d_step { (C.life == NAMED || C.life == BORN) && C.asker == 0 && C.latch == OPEN &&
#ifndef SPARE_clock_at_objection
#ifndef MUTANT_permission_unguarded
		    !C.passed &&
#endif
#endif
		    C.phase < STORED ->
		C.latch = OPTED;
		C.asked = 1;
#ifdef MUTANT_other_call_latched
		c[1 - s].latch = OPTED;
#endif
		C.asker = 1;
		if
		:: has(COARSE, s) ->
			C.stop = C.ring;
			C.asker = 2
		:: else
		fi }
	:: d_step { C.asker == 1 ->
		C.stop = C.ring;
		C.asker = 2 }
	:: d_step { C.asker == 2 ->
		if
		:: C.lm == 0 -> C.lm = L_TOMB
		:: else
		fi;
		tell(s, 1);
#ifdef MUTANT_durable_told_early
		tell(s, 2);
#endif
		C.asker = 0 }
	/* Who asks once more gets the receipt there is. */
	:: d_step { has(UNBORN, s) && C.life == BORN && C.asker == 0 && opted(s) && C.told == 0 && !C.ended ->
		tell(s, 1) }
	od
}

/* ---- journals: one commit for all ---- */

#define ledger_behind(s) (c[s].lw < c[s].lm || c[s].prm == 1)
#define ledger_unsynced(s) (c[s].ls < c[s].lw || c[s].prm == 2)
#define calls_behind(s) (c[s].jw < c[s].jm || c[s].aw == 1)
#define calls_unsynced(s) (c[s].js < c[s].jw || c[s].aw == 2)
#if CALLS == 2
#define any(what) (what(0) || what(1))
#define each(s, do_it) do_it(0); do_it(1)
#else
#define any(what) (what(0))
#define each(s, do_it) do_it(0)
#endif

inline ledger_write(s)
{
	C.lw = C.lm;
	if
	:: C.prm == 1 -> C.prm = 2
	:: else
	fi
}

inline ledger_sync(s)
{
#ifdef MUTANT_sync_counts_the_queue
	C.ls = C.lm;
#else
	C.ls = C.lw;
#endif
	if
	:: C.prm == 2 -> C.prm = 3
	:: else
	fi
}

inline calls_write(s)
{
	C.jw = C.jm;
	if
	:: C.aw == 1 -> C.aw = 2
	:: else
	fi
}

inline calls_sync(s)
{
	calls_write(s);
	C.js = C.jw;
	if
	:: C.aw == 2 -> C.aw = 3
	:: else
	fi
}

/* rco__flush(): first the journal, then the buffer. */
inline flush(s)
{
	calls_write(s);
	C.bs = C.bn
}

#define behind_or_unflushed(s) (calls_behind(s) || c[s].bs < c[s].bn)

/* rco__ledger_sync() of the thread that leads, and the flush shard. */
proctype Disk()
{
end:
	do
	:: d_step { any(ledger_behind) -> each(s, ledger_write) }
	:: d_step { any(ledger_unsynced) -> each(s, ledger_sync) }
	:: d_step { any(behind_or_unflushed) -> each(s, flush) }
	od
}

/* ---- the store ---- */

inline lands(s)
{
	if
	:: C.coming == PART ->
		C.up = 2;
		C.pn = C.bn
	:: C.coming == FINISH ->
		assert(C.commits == 0); /* P5: once */
		C.commits = 1;
		C.obj = 1;
		C.on = C.pn;
		C.up = 0;
		C.pn = 0
	fi;
	C.coming = NOTHING
}

proctype Store(byte s)
{
end:
	do
	:: d_step { C.coming != NOTHING -> lands(s) }
	:: d_step { C.stray == 1 -> C.stray = 2 }
	/* An upload expires, or somebody else gives it up. */
	:: d_step { has(SLOW, s) && C.js == J_COMMITTING && C.up > 0 && C.coming == NOTHING && faults < FAULTS ->
		faults++;
		C.up = 0;
		C.pn = 0 }
	od
}

/* Gives up what is open under the key. */
inline aborted(s)
{
	C.up = 0;
	C.pn = 0;
	if
	:: C.coming == PART -> C.stray = 1
	:: else -> C.stray = (C.stray == 1 -> 1 : 0)
	fi;
	if
	:: has(LOSES, s) && C.coming == FINISH /* goes on, is listed, and has no bytes */
	:: else -> C.coming = NOTHING
	fi
}

inline stored(s)
{
	C.committed = 1;
	C.jm = J_COMMITTED;
	C.phase = NOTE
}

/* ---- the worker of the shard: rco__session_step() ---- */

#define NEVERMIND(s) (C.phase == LIVE && !(C.ring && C.bn < C.acc) && !C.ended)

inline hand_on(s)
{
	/* One piece may be under way when somebody objects, no more. */
	if
	:: opted(s) ->
		C.late = C.late + 1;
		assert(C.late < 2) /* P2 */
	:: else
	fi
}

inline audio_gone(s)
{
	assert(!C.ring && !C.dirty && !C.bx && C.bn == 0); /* P4 */
	assert(!C.obj && C.up == 0 && C.stray != 2);       /* P4 */
	assert(!C.art && !C.rec)                           /* P4, P7 */
}

#ifdef MUTANT_window_not_waited_for
#define WINDOW_OVER(s) true
#else
#define WINDOW_OVER(s) (c[s].phase != WINDOW || c[s].passed)
#endif

/* The worker looked at the latch, and acts upon what it saw. */
#define looked(s) (has(COARSE, s) -> (!opted(s) && C.life == BORN && !C.op && C.jm > 0) : C.go)

proctype Worker(byte s)
{
end:
	do
	:: d_step { C.life == BORN && C.jm == 0 -> C.jm = J_BEGIN } /* rco__session_book() */

	/* -- opted out: advance(), rco__session_make_durable(), hand_over() -- */
	:: d_step { opted(s) && C.asker != 1 && C.lm == 0 && !C.durable ->
		C.lm = L_TOMB }
	:: d_step { opted(s) && !C.durable && C.ring && !C.wiped && !C.go && C.phase == LIVE &&
#ifndef MUTANT_wiped_before_stop
		C.stop &&
#endif
		    C.media == 0 ->
		C.dirty = 0;
		C.wiped = 1 }
#ifdef MUTANT_key_wiped_early
	:: d_step { opted(s) && !C.durable && !C.revoked && C.asker != 1 ->
		C.revoked = 1 }
#endif
	/* rco__tombstone(), the one who is in it: the one who asked, the committer, the worker. */
	:: d_step { opted(s) && !C.durable && C.ls >= L_TOMB && C.asker != 1 ->
		C.durable = 1;
#ifndef MUTANT_key_not_wiped
		C.revoked = 1;
#endif
		tell(s, 2) }
	/* turn_to_erasing() */
#ifdef MUTANT_erase_during_upload
	:: d_step { opted(s) && C.phase == SEND && C.durable -> C.phase = ERASE }
	:: d_step { C.go && C.phase >= ERASE -> C.coming = PART; C.go = 0 }
#endif
	:: d_step { opted(s) && C.phase < ERASE && !C.go && !C.op &&
#ifndef MUTANT_erase_before_durable
		    C.durable &&
#else
		    C.asker != 1 &&
#endif
		    C.phase != RETURN ->
		C.late = 0;
		C.commits = 0;
		C.phase = ERASE }
	:: d_step { opted(s) && C.phase < ERASE && C.op && C.coming == NOTHING ->
		C.op = 0 }
	:: d_step { opted(s) && C.phase < ERASE && C.op && C.coming != NOTHING && faults < FAULTS ->
		faults++;
		C.op = 0 }

	/* -- not opted out: a look at the latch, then one step -- */
	:: d_step { !has(COARSE, s) && !opted(s) && C.life == BORN && !C.go && !C.op && C.phase < STORED && !NEVERMIND(s) &&
		    WINDOW_OVER(s) && (C.phase != LIVE || C.jm > 0) ->
		C.go = 1 }

#ifdef MUTANT_drain_after_stop
	:: d_step { C.phase == LIVE && C.ring && C.bn < C.acc && !C.revoked ->
#else
	:: d_step { looked(s) && C.phase == LIVE && C.ring && C.bn < C.acc && !C.revoked ->
#endif
		assert(!C.wiped); /* P5 */
		assert(!C.due);   /* P2 */
		hand_on(s);
		C.bx = 1;
		C.bn = C.bn + 1;
		C.go = 0 }
	:: d_step { looked(s) && C.phase == LIVE && C.ring && C.bn < C.acc && C.revoked ->
		C.go = 0 } /* refused */
	:: d_step { looked(s) && C.phase == LIVE && !(C.ring && C.bn < C.acc) && C.ended &&
#ifndef MUTANT_ended_without_lock
		    C.shut
#else
		    true
#endif
		->
#ifndef SPARE_journal_before_ring_back
		each(s, calls_write);
#endif
		C.phase = RETURN }
	:: d_step { C.phase == RETURN &&
#ifndef MUTANT_ring_back_under_thread
		    C.media == 0
#else
		    true
#endif
		->
		C.ring = 0;
		C.dirty = 0;
		C.stop = 0;
		C.go = 0;
		C.phase = SEAL }
	:: d_step { looked(s) && C.phase == SEAL ->
		C.bs = C.bn;
		C.go = 0;
		C.phase = (C.bn > 0 || C.begun -> INTENT : WINDOW) }
	:: d_step { looked(s) && C.phase == INTENT ->
		if
		:: C.begun ->
			C.phase = (C.committed || C.doubt -> WINDOW : FENCE)
		:: else ->
#ifndef MUTANT_no_intent
			C.jm = J_INTENT;
			each(s, calls_sync);
#endif
			C.phase = BEGIN
		fi;
		C.go = 0 }
#ifdef MUTANT_doubt_given_up
	/* The abort is confirmed when nothing is on its way any more; then the store is asked. */
	:: d_step { looked(s) && C.phase == FENCE ->
		aborted(s);
		C.phase = HEAD }
	:: d_step { looked(s) && C.phase == HEAD && C.coming == NOTHING ->
		C.go = 0;
		if
		:: C.obj -> stored(s)
		:: else -> C.phase = (C.bn > 0 -> BEGIN : WINDOW)
		fi }
#else
	:: d_step { looked(s) && C.phase == FENCE ->
		aborted(s);
		C.go = 0;
		C.phase = (C.bn > 0 -> BEGIN : WINDOW) }
#endif
	:: d_step { looked(s) && C.phase == BEGIN ->
		C.begun = 1;
		C.up = 1;
		C.go = 0;
		C.phase = SEND }
	:: d_step { looked(s) && C.phase == BEGIN && has(SLOW, s) && faults < FAULTS ->
		faults++; /* it began, and the answer is lost */
		C.begun = 1;
		C.up = 1;
		C.go = 0;
		C.phase = INTENT }
	:: d_step { looked(s) && C.phase == SEND ->
		hand_on(s);
		if
		:: C.revoked /* the buffer does not give it */
		:: else ->
			C.coming = PART;
			C.op = 1;
			if
			:: !has(SLOW, s) -> lands(s)
			:: else
			fi
		fi;
		C.go = 0 }
	:: d_step { !opted(s) && C.op && C.phase == SEND && C.coming == NOTHING ->
		C.op = 0;
		C.phase = WINDOW }
	/* P14: no commit before the window has passed; then permission, by compare-and-swap. */
	:: d_step { looked(s) && C.phase == WINDOW && WINDOW_OVER(s) ->
		C.go = 0;
		if
#if defined(MUTANT_permission_unguarded) || defined(SPARE_permission_by_cas)
		:: !opted(s) ->
#else
		:: C.latch != OPTED ->
			C.latch = CLOSED;
#endif
			C.phase = (C.committed || (C.up == 0 && !C.doubt) -> NOTE : COMMIT)
		:: else
		fi }
	:: d_step { looked(s) && C.phase == COMMIT && !C.doubt ->
		C.doubt = 1;
		C.jm = (C.jm < J_LOST -> J_COMMITTING : J_AGAIN);
#ifndef MUTANT_doubt_not_noted
		each(s, calls_sync);
#endif
		C.go = 0 }
	:: d_step { looked(s) && C.phase == COMMIT && C.doubt && (C.up > 0 || C.coming == FINISH) ->
		assert(!opted(s) && !C.due); /* P2 */
		assert(C.passed);            /* P14 */
		C.coming = FINISH;
		C.op = 1;
		C.go = 0;
		if
		:: !has(SLOW, s) -> lands(s)
		:: else
		fi }
	:: d_step { !opted(s) && C.op && C.phase == COMMIT && C.coming == NOTHING ->
		C.op = 0;
		stored(s) }
	/* It was made before: the same answer, if the store still knows the upload by its id. */
	:: d_step { looked(s) && C.phase == COMMIT && C.doubt && C.up == 0 && C.coming == NOTHING && C.obj ->
		C.go = 0;
		stored(s) }
	:: d_step { looked(s) && C.phase == COMMIT && C.doubt && C.up == 0 && C.coming == NOTHING &&
		    (!C.obj || faults < FAULTS) ->
		faults = faults + (C.obj -> 1 : 0);
		C.go = 0;
		C.phase = HEAD }
#ifndef MUTANT_doubt_given_up
	:: d_step { looked(s) && C.phase == HEAD ->
		C.go = 0;
		if
#ifndef MUTANT_in_doubt_sent_again
		:: C.obj -> stored(s)
#else
		:: false -> skip
#endif
		:: else ->
#ifndef MUTANT_loss_not_noted
			C.jm = J_LOST;
			each(s, calls_sync);
#endif
			C.doubt = 0;
			C.phase = FENCE
		fi }
#endif
	/* It answers too late, or the answer is lost: a part is started over, and a commit asked for again. */
	:: d_step { !opted(s) && C.op && C.phase == SEND && faults < FAULTS ->
		faults++;
		C.op = 0;
		C.phase = INTENT }
	:: d_step { !opted(s) && C.op && C.phase == COMMIT && faults < FAULTS ->
		faults++;
#ifdef MUTANT_doubt_given_up
		C.doubt = 0;
		C.phase = INTENT;
#endif
		C.op = 0 }
	:: d_step { looked(s) && C.phase == NOTE ->
#ifndef SPARE_commit_noted
		each(s, calls_sync);
#endif
		C.go = 0;
		C.phase = RELEASE }
	:: d_step { looked(s) && C.phase == RELEASE ->
		assert(C.acc == 0 || (C.obj && C.on == C.acc)); /* P5 */
		C.bx = 0;
		C.bn = 0;
		C.bs = 0;
		C.go = 0;
		C.phase = CLOSE }
	:: d_step { looked(s) && C.phase == CLOSE ->
		C.jm = J_CLOSED;
		each(s, calls_write);
		C.go = 0;
		C.phase = STORED }

	/* -- rco__erase_step() -- */
	:: d_step { C.phase == ERASE && C.media == 0 ->
		assert(C.ls >= L_TOMB || C.prm == 3); /* P3 */
		assert(C.asked);                      /* P8 */
		C.ring = 0;
		C.dirty = 0;
		C.stop = 0;
		C.phase = WIPE }
	:: d_step { C.phase == WIPE ->
		C.bx = 0;
		C.bn = 0;
		C.bs = 0;
		C.phase = (C.begun -> ABORT : REMOVE) }
	:: d_step { C.phase == ABORT ->
		aborted(s);
		C.phase = REMOVE }
	:: d_step { C.phase == REMOVE &&
#ifndef MUTANT_recorder_not_waited_for
		    !C.rec
#else
		    true
#endif
		->
		if
		:: C.begun -> C.obj = 0
		:: else
		fi;
		if
		:: C.aw > 0 -> C.art = 0
		:: else
		fi;
		C.phase = VERIFY }
#ifdef MUTANT_no_second_look
	:: d_step { C.phase == VERIFY -> C.phase = CLEAN }
#else
	:: d_step { C.phase == VERIFY ->
		if
		:: C.begun && (C.obj || C.up > 0 || C.stray == 2) -> C.phase = ERASE
		:: else ->
			assert(!C.bx && !C.ring && !C.obj && C.up == 0 && !C.art); /* P7 */
			C.phase = SWEEP
		fi }
	/* The delay is longer than what is late is under way. */
	:: d_step { C.phase == SWEEP && C.stray != 1 && C.coming == NOTHING ->
		C.phase = (C.begun && (C.obj || C.up > 0 || C.stray == 2) -> ERASE : CLEAN) }
#endif
	:: d_step { C.phase == CLEAN && C.ended && C.shut ->
		audio_gone(s); /* P4, P7 */
		C.lm = L_CLOSED;
		C.jm = J_CLOSED;
		each(s, ledger_write);
		each(s, calls_write);
		C.phase = ERASED }
	od
}

/* ---- a crash, and what the next process makes of it ---- */

inline forget(s)
{
	if
	:: C.media == 2 -> C.dirty = 1 /* the frame that was being copied */
	:: else
	fi;
	C.media = 0;
	C.asker = 0;
	C.op = 0;
	C.go = 0;
	C.wiped = 0;
	C.late = 0;
	C.revoked = 0;
	C.rec = 0;
	C.pre = 0;
	C.durable = 0;
	C.committed = 0;
	C.doubt = 0;
	C.begun = 0;
	C.latch = OPEN;
	C.receipt = OWN;
	C.phase = LIVE;
	C.jm = C.jw;
	C.lm = C.lw;
	if
	:: C.aw == 1 -> C.aw = 0
	:: else
	fi;
	if
	:: C.prm == 1 -> C.prm = 0
	:: else
	fi
}

inline cut_power(s)
{
	if
	:: C.ring || C.bx ->
		C.acc = C.bs /* P5 promises no more */
	:: else
	fi;
	C.ring = 0;
	C.stop = 0;
	C.dirty = 0;
	C.bn = C.bs;
	C.bx = (C.bs > 0);
	/* Any beginning of what was not synced may be there. */
	if
	:: true -> C.jw = C.js
	:: C.jw > C.js + 1 -> C.jw = (C.js == J_COMMITTING -> J_COMMITTED : C.js + 1)
	:: C.jw > C.js -> skip
	fi;
	if
	:: true -> C.lw = C.ls
	:: C.lw > C.ls + 1 -> C.lw = C.ls + 1
	:: C.lw > C.ls -> skip
	fi;
	if
	:: C.aw == 2 -> C.aw = 0
	:: C.aw == 2
	:: C.aw != 2
	fi;
	if
	:: C.prm == 2 && C.lw == 0 -> C.prm = 0
	:: C.prm == 2
	:: C.prm != 2
	fi
}

#define FOUND_STOP(s) (c[s].ring && c[s].stop)
#define TO_ERASE(s) \
	(c[s].lw >= L_TOMB -> (c[s].lw < L_CLOSED || c[s].bx || c[s].ring || (c[s].jw >= J_BEGIN && c[s].jw < J_CLOSED)) \
	                   : (FOUND_STOP(s) && c[s].jw < J_CLOSED))
#define TO_STORE(s) \
	(c[s].lw == 0 && !FOUND_STOP(s) && c[s].jw < J_CLOSED && \
	 (c[s].bx || c[s].ring || (c[s].jw >= J_BEGIN && c[s].jw < J_COMMITTED)))

#ifdef MUTANT_upload_before_erasure
#define ERASES(s) (TO_ERASE(s) && !c[s].bx && !c[s].ring)
#define STORES(s) (TO_STORE(s) || (TO_ERASE(s) && (c[s].bx || c[s].ring)))
#else
#define ERASES(s) TO_ERASE(s)
#define STORES(s) TO_STORE(s)
#endif

/* rco__recovery_run() and revive(). The journals were written again and synced by then. */
inline take_up(s)
{
	C.lm = C.lw;
	C.jm = C.jw;
#ifndef MUTANT_replay_not_synced
	C.ls = C.lw;
	C.js = C.jw;
	if
	:: C.prm == 2 -> C.prm = 3
	:: else
	fi;
	if
	:: C.aw == 2 -> C.aw = 3
	:: else
	fi;
#endif
	/* Who was told so finds it still there. */
	assert(C.told < 2 || C.lw >= L_TOMB || C.prm >= 2); /* P3 */
	C.pre = (C.prm >= 2 && C.lw == 0 && C.life < BORN);
	if
	:: C.life == NAMED -> C.life = UNKNOWN
	:: C.life == BORN ->
		C.ended = 1;
		C.shut = 1;
		C.passed = 0;
		C.begun = (C.jw >= J_INTENT);
		C.committed = (C.jw == J_COMMITTED);
		C.doubt = IN_DOUBT(C.jw);
		C.receipt = (C.prm >= 2 -> BEFORE : OWN);
		if
		:: ERASES(s) ->
#ifdef MUTANT_stop_in_ring_ignored
			C.latch = (C.lw >= L_TOMB -> OPTED : OPEN);
#else
			C.latch = OPTED;
#endif
			C.durable = (C.lw >= L_TOMB);
			C.revoked = 0;
			C.jm = (C.jm == 0 -> J_BEGIN : C.jm);
			if
			:: C.durable -> tell(s, 2)
			:: else
			fi
		:: STORES(s) ->
			C.jm = (C.jm == 0 -> J_BEGIN : C.jm);
#ifndef MUTANT_recovery_forgets_birth
			if
			:: C.prm == 3 -> C.pre = 1; be_born(s)
			:: else
			fi
#endif
		:: else ->
			C.ring = 0;
			C.dirty = 0;
			C.stop = 0;
			C.bx = 0;
			C.bn = 0;
			C.bs = 0;
			C.life = GONE
		fi
	:: else
	fi;
	/* "It stopped" is no promise over a crash. */
	if
	:: C.due || C.pre
	:: else ->
		C.told = 0;
		C.told_id = 0;
		C.asked = opted(s)
	fi
}

inline kill_one(s)
{
	forget(s);
	/* A stop that shared memory knows of is honoured, though nobody was told "durable". */
	C.due = C.due || FOUND_STOP(s);
	take_up(s)
}

inline cut_one(s)
{
	forget(s);
	cut_power(s);
	C.due = (C.told == 2 || C.lw >= L_TOMB);
	take_up(s)
}

proctype Crash()
{
end:
	do
	:: d_step { crashes < CRASHES -> crashes++; each(s, kill_one) }
	:: atomic { crashes < CRASHES -> crashes++; each(s, cut_one) }
	od
}

/* ---- what must hold, always and at every end ---- */

#define SAID_WIPED(s) (c[s].wiped && c[s].ring && c[s].dirty && c[s].media == 0)
#define ON_DISK(s)    (c[s].ls >= L_TOMB || c[s].prm == 3)
#define EARLY(s)      ((c[s].durable || c[s].revoked || c[s].told == 2) && !ON_DISK(s))
#define UNDONE(s)     (c[s].told == 2 && c[s].life == BORN && c[s].latch != OPTED)
#define UNASKED(s)    (c[s].latch == OPTED && !c[s].asked)

inline judge(s)
{
	if
	:: C.due ->
		assert(C.phase == ERASED || C.life == GONE || C.life == UNKNOWN || C.acc == 0); /* P3, P13 */
		audio_gone(s)                                                                   /* P4 */
	:: else ->
		if
		:: C.latch != OPTED && C.acc > 0 -> assert(C.obj && C.on == C.acc && !C.bx && !C.ring) /* P5 */
		:: else
		fi
	fi;
	assert(!C.dirty && !C.bx && !C.ring)
}

proctype Judge()
{
end:
	do
	:: d_step { any(EARLY) -> assert(false) }      /* P3, P7 */
	:: d_step { any(SAID_WIPED) -> assert(false) } /* P2 */
	:: d_step { any(UNDONE) -> assert(false) }     /* P6 */
	:: d_step { any(UNASKED) -> assert(false) }    /* P8 */
	:: timeout ->
		d_step { each(s, judge) };
		break
	od
}

inline set_up(s)
{
	C.receipt = OWN;
	if
	:: has(UNBORN, s) -> C.life = UNKNOWN
	:: else ->
		C.life = BORN;
		C.ring = 1;
		C.jm = J_BEGIN
	fi;
	run Media(s);
	run Host(s);
	run Asker(s);
	run Store(s);
	run Worker(s)
}

init
{
	atomic {
		each(s, set_up);
		run Disk();
		run Crash();
		run Judge()
	}
}
