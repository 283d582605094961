"""One computes, the others wait: leases and stale windows of the real daemon, on raw sockets."""

import os
import signal
import socket
import struct
import subprocess
import sys

import pytest

import peers
import wire

pytestmark = pytest.mark.skipif(bool(peers.missing("brined")), reason=str(peers.missing("brined")))

COMPUTE, WAIT = 1, 2  # LEASE in a request
GRANTED, ALONE, VAIN = 1, 2, 3  # and in a reply
FAILED, CANNOT_BE_KEPT = 1, 2


@pytest.fixture
def daemon():
    daemon = peers.Daemon()
    yield daemon
    daemon.close()


def lease(key=b"k", **fields):
    return {"KEY": key, "LEASE": COMPUTE, **fields}


def granted(peer, key=b"k", **fields):
    reply = peer.ask("GET", lease(key, **fields))
    assert (reply.named.get("STATUS"), reply.named.get("LEASE")) == (1, GRANTED), reply
    assert len(reply.named["TOKEN"]) == 16
    return reply.named["TOKEN"]


def parked(peer, key=b"k", **fields):
    """The request is waiting: what was asked after it is answered first."""
    id_ = peer.request("GET", lease(key, **fields))
    assert peer.ask("PING").kind == wire.REPLY
    return id_


def told(peer, id_):
    reply = peer.receive()
    assert reply.id == id_
    return reply


def value(reply):
    return reply.segments[0][1]


def publish(peer, token, body=b"value", key=b"k", **fields):
    return peer.ask("PUT", {"KEY": key, "TOKEN": token, **fields}, body)


def refused(reply, name):
    assert reply.kind == wire.ERROR and reply.named["ERROR"] == wire.ERRORS[name], reply


def test_one_computes_and_all_who_waited_get_its_value(daemon):
    holder, others = daemon.peer(), [daemon.peer() for _ in range(64)]
    token = granted(holder)
    waits = [parked(other) for other in others]
    assert publish(holder, token).kind == wire.REPLY
    for other, id_ in zip(others, waits):
        assert value(told(other, id_)) == b"value"


def test_large_values_reach_all_who_waited(daemon):
    holder, others = daemon.peer(), [daemon.peer() for _ in range(8)]
    token = granted(holder)
    waits = [parked(other) for other in others]
    body = os.urandom(900_000)
    assert publish(holder, token, body).kind == wire.REPLY
    for other, id_ in zip(others, waits):
        reply = told(other, id_)
        assert b"".join(part for _, part in reply.segments) == body


def test_a_token_publishes_once_and_never_after_a_put_or_a_delete(daemon):
    holder, other = daemon.peer(), daemon.peer()
    token = granted(holder)
    assert publish(holder, token).kind == wire.REPLY
    refused(publish(holder, token), "OLD_TOKEN")
    token = granted(holder, b"l")
    other.ask("PUT", {"KEY": b"l"}, b"somebody else's")
    refused(publish(holder, token, key=b"l"), "OLD_TOKEN")
    assert value(holder.ask("GET", {"KEY": b"l"})) == b"somebody else's"
    token = granted(holder, b"m")
    other.ask("DELETE", {"KEY": b"m"})
    refused(publish(holder, token, key=b"m"), "OLD_TOKEN")
    token = granted(holder, b"n")
    other.ask("FLUSH")
    refused(publish(holder, token, key=b"n"), "OLD_TOKEN")


@pytest.mark.parametrize("token", [bytes(16), os.urandom(16)])
def test_a_token_that_nobody_gave_out_is_old(daemon, token):
    refused(publish(daemon.peer(), token), "OLD_TOKEN")


@pytest.mark.parametrize("fields", [
    {"TOKEN": b"short"}, {"TOKEN": bytes(17)}, {"TOKEN": b""},
])
def test_a_token_of_another_length_is_a_bad_request(daemon, fields):
    peer = daemon.peer()
    refused(peer.ask("PUT", {"KEY": b"k", **fields}, b"v"), "BAD_REQUEST")
    refused(peer.ask("RELEASE", {"KEY": b"k", "GIVE_UP": 1, **fields}), "BAD_REQUEST")
    refused(peer.ask("RESUME", {"KEY": b"k", **fields}), "BAD_REQUEST")


def test_the_end_of_the_holders_connection_passes_the_lease_on(daemon):
    holder, first, second = daemon.peer(), daemon.peer(), daemon.peer()
    granted(holder)
    waits = parked(first), parked(second)
    holder.close()
    reply = told(first, waits[0])
    assert reply.named["LEASE"] == GRANTED
    publish(first, reply.named["TOKEN"])
    assert value(told(second, waits[1])) == b"value"


def test_a_holder_that_stopped_sending_but_reads_on_keeps_its_waits(daemon):
    holder, half = daemon.peer(), daemon.peer()
    token = granted(holder)
    id_ = parked(half)
    half.sock.shutdown(socket.SHUT_WR)
    publish(holder, token)
    assert value(told(half, id_)) == b"value"


HOLDER = """
import os, signal, socket, sys
sys.path[:0] = [sys.argv[2], sys.argv[3]]
import wire
peer = wire.Peer(socket.socket(socket.AF_UNIX), 60)
peer.sock.connect(sys.argv[1])
peer.hello()
reply = peer.ask("GET", {"KEY": b"k", "LEASE": 1, **eval(sys.argv[4])})
assert reply.named["LEASE"] == 1, reply
if sys.argv[5] == "fork" and os.fork() == 0:
    print("held", reply.named["TOKEN"].hex(), os.getpid(), flush=True)
    signal.pause()
if sys.argv[5] != "fork":
    print("held", reply.named["TOKEN"].hex(), 0, flush=True)
sys.stdin.readline()
again = peer.ask("PUT", {"KEY": b"k", "TOKEN": reply.named["TOKEN"]}, b"late")
print(again.named.get("ERROR", 0), flush=True)
"""


def start_holder(daemon, how="", fields="{}"):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, daemon.socket, str(peers.ROOT / "tests/golden"),
         str(peers.ROOT / "tests/system"), fields, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _, token, child = process.stdout.readline().split()
    return process, bytes.fromhex(token), int(child)


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait()


def test_a_holder_that_is_killed_passes_the_lease_on(daemon):
    waiter = daemon.peer()
    process, token, _ = start_holder(daemon)
    id_ = parked(waiter)
    process.kill()
    assert told(waiter, id_).named["LEASE"] == GRANTED
    refused(publish(daemon.peer(), token), "OLD_TOKEN")
    end(process)


def test_a_killed_holder_whose_child_keeps_the_socket_passes_the_lease_on(daemon):
    waiter = daemon.peer()
    process, token, child = start_holder(daemon, "fork")
    try:
        id_ = parked(waiter)
        process.kill()
        assert told(waiter, id_).named["LEASE"] == GRANTED
        refused(publish(daemon.peer(), token), "OLD_TOKEN")
    finally:
        os.kill(child, signal.SIGKILL)
        end(process)


def test_a_stopped_holder_loses_a_lease_that_was_for_a_time_and_its_late_put(daemon):
    waiter = daemon.peer()
    process, _, _ = start_holder(daemon, fields="{'LEASE_TIME': 200}")
    process.send_signal(signal.SIGSTOP)
    id_ = waiter.request("GET", lease())
    reply = told(waiter, id_)
    assert reply.named["LEASE"] == GRANTED
    publish(waiter, reply.named["TOKEN"])
    process.send_signal(signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    assert int(process.stdout.readline()) == wire.ERRORS["OLD_TOKEN"]
    end(process)
    assert value(waiter.ask("GET", {"KEY": b"k"})) == b"value"


def test_a_lease_that_ran_out_with_nobody_waiting_still_publishes(daemon):
    holder, other = daemon.peer(), daemon.peer()
    token = granted(holder, LEASE_TIME=1)
    assert other.ask("GET", {"KEY": b"other", "LEASE": WAIT, "WAIT": 50}).named["LEASE"] == VAIN
    assert publish(holder, token).kind == wire.REPLY


def test_a_failure_passes_the_lease_on_and_a_second_one_sends_everybody_away(daemon):
    holder, others = daemon.peer(), [daemon.peer() for _ in range(5)]
    token = granted(holder)
    waits = [parked(other) for other in others]
    assert holder.ask("RELEASE", {"KEY": b"k", "TOKEN": token, "GIVE_UP": FAILED}).named["STATUS"] == 0
    assert holder.ask("RELEASE", {"KEY": b"k", "TOKEN": token, "GIVE_UP": FAILED}).named["STATUS"] == 1
    reply = told(others[0], waits[0])
    assert reply.named["LEASE"] == GRANTED
    others[0].ask("RELEASE", {"KEY": b"k", "TOKEN": reply.named["TOKEN"], "GIVE_UP": FAILED})
    for other, id_ in list(zip(others, waits))[1:]:
        assert told(other, id_).named["LEASE"] == ALONE


def test_a_result_that_cannot_be_kept_sends_everybody_away_at_once(daemon):
    holder, others = daemon.peer(), [daemon.peer() for _ in range(64)]
    token = granted(holder)
    waits = [parked(other) for other in others]
    holder.ask("RELEASE", {"KEY": b"k", "TOKEN": token, "GIVE_UP": CANNOT_BE_KEPT})
    for other, id_ in zip(others, waits):
        assert told(other, id_).named["LEASE"] == ALONE


def test_a_wait_ends_when_the_caller_said(daemon):
    holder, other = daemon.peer(), daemon.peer()
    granted(holder)
    assert other.ask("GET", lease(WAIT=0)).named["LEASE"] == VAIN
    assert other.ask("GET", lease(WAIT=20)).named["LEASE"] == VAIN


def test_a_delete_of_a_leased_key_lets_the_first_waiter_compute(daemon):
    holder, first, second = daemon.peer(), daemon.peer(), daemon.peer()
    granted(holder)
    waits = parked(first), parked(second)
    holder.ask("DELETE", {"KEY": b"k"})
    reply = told(first, waits[0])
    assert reply.named["LEASE"] == GRANTED
    publish(first, reply.named["TOKEN"])
    assert value(told(second, waits[1])) == b"value"


def test_a_flush_lets_the_first_waiter_compute_where_its_key_lives_now(daemon):
    holder, first, second = daemon.peer(), daemon.peer(), daemon.peer()
    token = granted(holder)
    waits = parked(first), parked(second)
    holder.ask("FLUSH")
    reply = told(first, waits[0])
    assert reply.named["LEASE"] == GRANTED
    refused(publish(holder, token), "OLD_TOKEN")
    publish(first, reply.named["TOKEN"])
    assert value(told(second, waits[1])) == b"value"


def test_who_would_wait_for_itself_computes_alone(daemon):
    one, two, inner = daemon.peer(), daemon.peer(), daemon.peer()
    granted(one, b"a", HOLDER=1)
    granted(two, b"b", HOLDER=2)
    assert inner.ask("GET", lease(b"a", HOLDER=1)).named["LEASE"] == ALONE
    parked(inner, b"b", HOLDER=1)
    assert two.ask("GET", lease(b"a", HOLDER=2)).named["LEASE"] == ALONE


def test_who_only_waits_gets_the_value_whoever_stores_it(daemon):
    waiter, other = daemon.peer(), daemon.peer()
    id_ = waiter.request("GET", {"KEY": b"k", "LEASE": WAIT})
    assert waiter.ask("PING").kind == wire.REPLY
    granted(other)
    other.ask("PUT", {"KEY": b"k"}, b"plain")
    assert value(told(waiter, id_)) == b"plain"


def test_a_version_that_cannot_be_used_is_computed_once(daemon):
    callers = [daemon.peer() for _ in range(40)]
    bad = callers[0].ask("PUT", {"KEY": b"k"}, b"bad").named["VERSION"]
    token = granted(callers[0], NOT_VERSION=bad)
    waits = [parked(caller, NOT_VERSION=bad) for caller in callers[1:]]
    publish(callers[0], token, b"good")
    for caller, id_ in zip(callers[1:], waits):
        assert value(told(caller, id_)) == b"good"
    assert value(callers[0].ask("GET", lease(NOT_VERSION=bad))) == b"good"


def test_inside_the_stale_window_one_refreshes_and_the_others_get_the_old_value(daemon):
    one, two = daemon.peer(), daemon.peer()
    one.ask("PUT", {"KEY": b"k", "TTL": 1, "STALE_FOR": 1000_000}, b"old")
    while "STALE" not in (first := one.ask("GET", {"KEY": b"k", "STALE_OK": 1})).named:
        pass
    assert value(first) == b"old" and "LEASE" not in first.named
    assert one.ask("GET", {"KEY": b"k"}).named["STATUS"] == 1
    first = one.ask("GET", lease(STALE_OK=1))
    assert value(first) == b"old" and first.named["LEASE"] == GRANTED
    second = two.ask("GET", lease(STALE_OK=1))
    assert value(second) == b"old" and "LEASE" not in second.named and "STALE" in second.named
    id_ = parked(two)  # one who does not take stale waits for the new value
    publish(one, first.named["TOKEN"], b"new")
    assert value(told(two, id_)) == b"new"
    assert "STALE" not in two.ask("GET", lease(STALE_OK=1)).named


def test_at_sigterm_who_waits_is_told_to_ask_again_and_the_holder_comes_back(daemon):
    holder, waiter = daemon.peer(), daemon.peer()
    token = granted(holder, HOLDER=7)
    id_ = parked(waiter)
    daemon.process.terminate()
    goaway = waiter.receive()
    assert goaway.kind == wire.GOAWAY
    refused(told(waiter, id_), "SHUTTING_DOWN")
    assert daemon.process.wait(peers.HUNG) == 0
    daemon.restart()
    waiter, holder = daemon.peer(), daemon.peer()
    id_ = parked(waiter)
    assert holder.ask("RESUME", {"KEY": b"k", "TOKEN": token, "HOLDER": 7}).named["STATUS"] == 0
    assert publish(holder, token).kind == wire.REPLY
    assert value(told(waiter, id_)) == b"value"


def test_after_a_crash_every_token_is_old(daemon):
    token = granted(daemon.peer())
    daemon.process.kill()
    daemon.process.wait()
    daemon.restart()
    refused(publish(daemon.peer(), token), "OLD_TOKEN")
    granted(daemon.peer())


def test_a_connection_may_wait_for_many_keys_and_is_still_answered(daemon):
    holder, many = daemon.peer(), daemon.peer()
    keys = [b"%d" % i for i in range(300)]
    tokens = [granted(holder, key) for key in keys]
    waits = {parked(many, key): key for key in keys}
    for key, token in zip(keys, tokens):
        holder.ask("PUT", {"KEY": key, "TOKEN": token}, key)
    for _ in keys:
        reply = many.receive()
        assert value(reply) == waits.pop(reply.id)


def test_who_closes_while_it_waits_is_not_granted_the_lease(daemon):
    holder, gone, stays = daemon.peer(), daemon.peer(), daemon.peer()
    granted(holder)
    parked(gone)
    id_ = parked(stays)
    gone.close()
    daemon.peer().close()  # the daemon has seen it close
    holder.close()
    assert told(stays, id_).named["LEASE"] == GRANTED


def test_who_waits_by_the_thousands_keeps_nobody_from_storing(daemon):
    holder, many, other = daemon.peer(), daemon.peer(), daemon.peer()
    granted(holder)
    many.sock.sendall(b"".join(
        wire.Frame("GET", many.next_id + i, {"KEY": b"k", "LEASE": WAIT}).encode()
        for i in range(17_000)))
    many.next_id += 17_000
    assert many.receive().named["LEASE"] == VAIN  # there is no place for so many
    assert other.ask("PUT", {"KEY": b"l"}, b"v").kind == wire.REPLY
    assert other.ask("DELETE", {"KEY": b"l"}).named["STATUS"] == 0


@pytest.mark.parametrize("ask", [
    lambda peer: peer.ask("PUT", {"KEY": b"k"}, b"v"),
    lambda peer: peer.ask("INCR", {"KEY": b"k"}),
    lambda peer: peer.ask("BATCH", {}, wire.encode_batch_item("PUT", {"KEY": b"k"}, b"v")),
], ids=["put", "incr", "batch"])
def test_whatever_puts_the_key_ends_its_lease(daemon, ask):
    holder, waiter, other = daemon.peer(), daemon.peer(), daemon.peer()
    token = granted(holder)
    id_ = parked(waiter)
    ask(other)
    assert "LEASE" not in told(waiter, id_).named
    refused(publish(holder, token), "OLD_TOKEN")


@pytest.mark.parametrize("ask", [
    lambda peer: peer.ask("DELETE", {"KEY": b"k"}),
    lambda peer: peer.ask("TAKE", {"KEY": b"k"}),
    lambda peer: peer.ask("BATCH", {}, wire.encode_batch_item("DELETE", {"KEY": b"k"})),
    lambda peer: peer.ask("FLUSH"),
], ids=["delete", "take", "batch", "flush"])
def test_whatever_deletes_the_key_passes_its_lease_on_though_nothing_was_there(daemon, ask):
    holder, waiter, other = daemon.peer(), daemon.peer(), daemon.peer()
    token = granted(holder)
    id_ = parked(waiter)
    ask(other)
    assert told(waiter, id_).named["LEASE"] == GRANTED
    refused(publish(holder, token), "OLD_TOKEN")


@pytest.mark.parametrize("ask", [
    lambda peer, k: peer.ask("GET", {"KEY": k}),
    lambda peer, k: peer.ask("TOUCH", {"KEY": k}),
    lambda peer, k: peer.ask("INVALIDATE", {"TAGS": wire.encode_tags([b"other"])}),
    lambda peer, k: peer.ask("DELETE", {"KEY": b"another"}),
    lambda peer, k: peer.ask("PUT", {"KEY": k, "CONDITION": 2}, b"v"),
    lambda peer, k: peer.ask("PUT", {"KEY": k, "TOKEN": bytes(16)}, b"v"),
], ids=["get", "touch", "invalidate", "other key", "refused", "old token"])
def test_what_does_not_change_the_key_leaves_its_lease(daemon, ask):
    holder, other = daemon.peer(), daemon.peer()
    token = granted(holder)
    ask(other, b"k")
    assert publish(holder, token).kind == wire.REPLY


def test_a_tag_invalidated_while_its_value_is_computed_passes_the_lease_on(daemon):
    holder, waiter, other = daemon.peer(), daemon.peer(), daemon.peer()
    tags = {"TAGS": wire.encode_tags([b"solar", b"red"])}
    token = granted(holder)
    id_ = parked(waiter)
    other.ask("INVALIDATE", {"TAGS": wire.encode_tags([b"red"])})
    refused(publish(holder, token, **tags), "OLD_TOKEN")
    reply = told(waiter, id_)
    assert reply.named["LEASE"] == GRANTED
    assert publish(waiter, reply.named["TOKEN"], **tags).kind == wire.REPLY


def test_a_put_that_is_refused_leaves_the_lease_to_be_released(daemon):
    holder, waiter = daemon.peer(), daemon.peer()
    token = granted(holder)
    id_ = parked(waiter)
    refused(publish(holder, token, CONDITION=2), "ABSENT")
    assert holder.ask("RELEASE", {"KEY": b"k", "TOKEN": token, "GIVE_UP": CANNOT_BE_KEPT}).named["STATUS"] == 0
    assert told(waiter, id_).named["LEASE"] == ALONE


def test_who_only_waits_goes_on_waiting_whatever_becomes_of_the_lease(daemon):
    holder, waiter = daemon.peer(), daemon.peer()
    id_ = waiter.request("GET", {"KEY": b"k", "LEASE": WAIT})
    assert waiter.ask("PING").kind == wire.REPLY
    for why in (FAILED, FAILED, CANNOT_BE_KEPT):
        holder.ask("RELEASE", {"KEY": b"k", "TOKEN": granted(holder), "GIVE_UP": why})
    granted(holder)
    holder.ask("DELETE", {"KEY": b"k"})
    granted(holder)
    holder.close()
    daemon.peer().ask("PUT", {"KEY": b"k"}, b"at last")
    assert value(told(waiter, id_)) == b"at last"


def test_a_holder_whose_connection_was_cut_resumes_its_lease(daemon):
    holder, again, waiter = daemon.peer(), daemon.peer(), daemon.peer()
    token = granted(holder, HOLDER=7)
    holder.close()
    assert again.ask("RESUME", {"KEY": b"k", "TOKEN": token}).named["STATUS"] == 0
    id_ = parked(waiter)
    assert publish(again, token).kind == wire.REPLY
    assert value(told(waiter, id_)) == b"value"
    assert again.ask("RESUME", {"KEY": b"k", "TOKEN": token}).named["STATUS"] == 1


def test_a_lease_that_was_kept_through_a_restart_publishes_without_being_resumed(daemon):
    token = granted(daemon.peer())
    daemon.process.terminate()
    assert daemon.process.wait(peers.HUNG) == 0
    daemon.restart()
    assert publish(daemon.peer(), token).kind == wire.REPLY


def test_a_stale_object_is_absent_to_all_but_who_takes_stale(daemon):
    peer = daemon.peer()
    peer.ask("PUT", {"KEY": b"k", "TTL": 1, "STALE_FOR": 1000_000, "OBJECT_KIND": 1}, bytes(8))
    while "STALE" not in (stale := peer.ask("META", {"KEY": b"k", "STALE_OK": 1})).named:
        pass
    assert stale.named["TTL_LEFT"] == 0
    for command in ("GET", "META", "TOUCH"):
        assert peer.ask(command, {"KEY": b"k"}).named["STATUS"] == 1
    refused(peer.ask("PUT", {"KEY": b"k", "CONDITION": 2}, b"v"), "ABSENT")
    refused(peer.ask("INCR", {"KEY": b"k", "CONDITION": 2}), "ABSENT")
    assert peer.ask("SCAN").named["COUNT"] == 0
    assert "STALE" in peer.ask("GET", {"KEY": b"k", "STALE_OK": 1, "REFRESH": 0}).named
    assert "STALE" in peer.ask("GET", {"KEY": b"k", "STALE_OK": 1}).named


@pytest.mark.parametrize("command, fields, status", [
    ("DELETE", {"KEY": b"k"}, 0), ("TAKE", {"KEY": b"k"}, 1),
    ("INVALIDATE", {"TAGS": wire.encode_tags([b"red"])}, 0), ("FLUSH", {}, 0), ("BATCH", {}, None),
])
@pytest.mark.parametrize("settled", [False, True])
def test_what_was_removed_is_not_given_out_stale(daemon, command, fields, status, settled):
    peer = daemon.peer()
    version = peer.ask("PUT", {"KEY": b"k", "TTL": 1, "STALE_FOR": 1000_000,
                               "TAGS": wire.encode_tags([b"red"])}, b"revoked").named["VERSION"]
    while "STALE" not in peer.ask("GET", {"KEY": b"k", "STALE_OK": 1}).named:
        pass
    if settled:
        peer.ask("SYNC")
    delete = wire.encode_batch_item("DELETE", {"KEY": b"k", "VERSION": version})
    reply = peer.ask(command, fields, delete if command == "BATCH" else None)
    if command == "BATCH":
        assert [item[1:] for item in wire.read_batch(reply.body)] == [({wire.FIELDS["STATUS"][0]: 0}, b"")]
    assert reply.named.get("STATUS") == status
    assert peer.ask("GET", {"KEY": b"k", "STALE_OK": 1}).named["STATUS"] == 1


def test_a_stale_object_of_another_version_stays(daemon):
    peer = daemon.peer()
    version = peer.ask("PUT", {"KEY": b"k", "TTL": 1, "STALE_FOR": 1000_000}, b"v").named["VERSION"]
    while "STALE" not in peer.ask("GET", {"KEY": b"k", "STALE_OK": 1}).named:
        pass
    refused(peer.ask("DELETE", {"KEY": b"k", "VERSION": version + 1}), "CHANGED")
    assert peer.ask("TAKE", {"KEY": b"k", "VERSION": version + 1}).named["STATUS"] == 1
    assert "STALE" in peer.ask("GET", {"KEY": b"k", "STALE_OK": 1}).named


# ---- counters, take


def number(value):
    return value & (1 << 64) - 1


def test_a_counter_counts_from_nothing_and_keeps_its_time_to_live(daemon):
    peer = daemon.peer()
    assert peer.ask("INCR", {"KEY": b"n"}).named["COUNTER"] == 1
    assert peer.ask("INCR", {"KEY": b"n", "DELTA": 41}).named["COUNTER"] == 42
    assert peer.ask("INCR", {"KEY": b"n", "DELTA": number(-50)}).named["COUNTER"] == number(-8)
    assert value(peer.ask("GET", {"KEY": b"n"})) == struct.pack("<q", -8)
    assert peer.ask("INCR", {"KEY": b"m", "INITIAL": 10, "TTL": 60_000}).named["COUNTER"] == 11
    peer.ask("INCR", {"KEY": b"m", "TTL": 1})
    assert 1 < peer.ask("META", {"KEY": b"m"}).named["TTL_LEFT"] <= 60_000


def test_a_counter_that_was_put_is_counted(daemon):
    peer = daemon.peer()
    peer.ask("PUT", {"KEY": b"n", "OBJECT_KIND": 1, "CODEC": 6}, struct.pack("<q", 5))
    assert peer.ask("INCR", {"KEY": b"n"}).named["COUNTER"] == 6


def test_what_is_no_counter_is_refused_and_an_overflow_changes_nothing(daemon):
    peer = daemon.peer()
    peer.ask("PUT", {"KEY": b"blob"}, b"12345678")
    refused(peer.ask("INCR", {"KEY": b"blob"}), "NOT_A_COUNTER")
    refused(peer.ask("INCR", {"KEY": b"new", "CONDITION": 2}), "ABSENT")
    refused(peer.ask("INCR", {"KEY": b"new", "CONDITION": 1}), "BAD_REQUEST")
    most = (1 << 63) - 1
    assert peer.ask("INCR", {"KEY": b"n", "INITIAL": most, "DELTA": 0}).named["COUNTER"] == most
    refused(peer.ask("INCR", {"KEY": b"n"}), "OVERFLOW")
    assert peer.ask("INCR", {"KEY": b"n", "DELTA": number(-1)}).named["COUNTER"] == most - 1


def test_a_counter_survives_a_crash(daemon):
    peer = daemon.peer()
    peer.ask("INCR", {"KEY": b"n", "DELTA": 5, "ACK": 2})
    daemon.process.kill()
    daemon.process.wait()
    daemon.restart()
    assert daemon.peer().ask("INCR", {"KEY": b"n"}).named["COUNTER"] == 6


@pytest.mark.parametrize("size", [0, 5, 5000, 100_000, 3_000_000])
@pytest.mark.parametrize("settled", [False, True])
def test_what_is_taken_is_given_once(daemon, size, settled):
    peer = daemon.peer()
    body = os.urandom(size)
    assert peer.ask("PUT", {"KEY": b"k"}, body).kind == wire.REPLY
    if settled:
        peer.ask("SYNC")
    taken = peer.ask("TAKE", {"KEY": b"k"})
    assert b"".join(part for _, part in taken.segments) == body
    assert peer.ask("TAKE", {"KEY": b"k"}).named["STATUS"] == 1
    assert peer.ask("GET", {"KEY": b"k"}).named["STATUS"] == 1


def test_a_version_that_is_not_there_is_not_taken(daemon):
    peer = daemon.peer()
    version = peer.ask("PUT", {"KEY": b"k"}, b"v").named["VERSION"]
    refused(peer.ask("TAKE", {"KEY": b"k", "VERSION": version + 1}), "CHANGED")
    assert value(peer.ask("TAKE", {"KEY": b"k", "VERSION": version})) == b"v"
