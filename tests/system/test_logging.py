"""What the daemon logs of requests: whose they were and what was wrong, and never a key."""

import strangers

import harness


def test_a_refused_request_is_logged_with_its_user_and_without_its_key(make_daemon):
    daemon = make_daemon()
    with daemon.client() as client:
        for _ in range(30):
            assert client.put(b"the secret", b"v", namespace="/nowhere").error == harness.BAD_NAMESPACE
        assert client.call(99, {"key": b"the secret"}).error == harness.UNSUPPORTED
    daemon.wait_log("refused a request of uid")
    assert daemon.log().count("refused a request of uid") == 20
    assert "no shared namespace /nowhere" in daemon.log() and "secret" not in daemon.log()


def test_a_slow_request_is_logged_without_its_key_and_only_if_that_was_asked_for(make_daemon):
    daemon = make_daemon("--set", "commit_delay=100ms")
    with daemon.client() as client:
        client.put(b"the secret", b"v", namespace="web")
        client.call(harness.SCAN, {"namespace": "web"})
    daemon.stop()
    assert "slow" not in daemon.log()
    daemon = make_daemon("--set", "commit_delay=100ms", "--set", "slow_request=1ms")
    with daemon.client() as client:
        # It waits for a commit that has a reason to take a moment: its predecessor.
        for number in range(50):
            client.put(b"the secret %d" % number, b"v" * 100000, namespace="web")
            client.put(b"the secret", b"v", namespace="web", ack=2)
    daemon.wait_log("slow: a change, or a sync, that waited for the disk of uid ")
    assert daemon.log().count("slow: ") <= 20 and "secret" not in daemon.log()


def test_the_option_is_taken_by_a_running_daemon(folder):
    daemon = strangers.Daemon(folder, "slow_request = 5ms\n").start()
    daemon.reload("slow_request = 1h\n")
    daemon.wait_log("slow_request is now 1h")
    daemon.stop()
