# Brine's one build file: GNU make, nothing generated, nothing configured.
# Sources are found by wildcard; a target whose sources are missing is left out.
# `make help` says what each target does.

VERSION  = 0.1.0
ABI      = 0

BUILD   ?= build
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
DESTDIR ?=
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/brined
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
SYSTEMUNITDIR ?= $(PREFIX)/lib/systemd/system
USERUNITDIR ?= $(PREFIX)/lib/systemd/user
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
SYSCONFDIR ?= /etc
# Where $(PYTHON) looks for what was installed under PREFIX.
PYTHONDIR ?= $(PREFIX)/lib/python$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')/dist-packages
# Seconds that each fuzz target runs.
FUZZ_TIME ?= 60
# One test's name, or a part of it: make check T=expired
T ?=
# Comma-separated sanitizers for this build; asan, tsan and fuzz set it together with BUILD.
SANITIZE ?=

MAKEFLAGS += --no-print-directory
ifeq ($(origin CC),default)
CC = gcc
endif

# What a bare Debian 12 lacks for building and checking, and for lint and fuzz on top of it.
PACKAGES = gcc libc6-dev binutils libuv1-dev liblmdb-dev libmsgpack-dev libxxhash-dev \
	libinih-dev libcmocka-dev python3 python3-dev python3-pytest python3-hypothesis \
	python3-msgpack python3-cloudpickle python3-numpy python3-pandas python3-pip python3-setuptools python3-wheel \
	python3-prometheus-client spin
DEB_PACKAGES = dpkg-dev debhelper dh-python fakeroot lintian
BOOT_PACKAGES = python3 python3-pytest systemd-container debootstrap
LINT_PACKAGES = clang clang-format mandoc mypy systemd
FUZZ_PACKAGES = clang libclang-rt-14-dev
BENCH_PACKAGES = redis-server memcached libhiredis-dev libmemcached-dev \
	python3-redis python3-pymemcache python3-pylibmc python3-diskcache python3-lmdb python3-joblib

WARNINGS = -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DBRINE_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 -O2 -g -fPIC -fstack-protector-strong -pthread $(WARNINGS) $(CFLAGS)
LDFLAGS_ALL = -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(LDFLAGS)
ifeq ($(SANITIZE),)
CPPFLAGS_ALL += -D_FORTIFY_SOURCE=2
else
CFLAGS_ALL += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
LDFLAGS_ALL += -fsanitize=$(SANITIZE)
# Errors of the undefined behaviour sanitizer end the program; they are not a line in a log.
CFLAGS_ALL += $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined)
endif
# STATIC=1 links the C libraries into the programs, for the wheel.
STATIC ?=
DAEMON_LIBS = $(if $(STATIC),-l:libuv_a.a -l:liblmdb.a -l:libinih.a,-luv -llmdb -linih)
# Tests hold our reading of msgpack against its own library.
TEST_LIBS = -lcmocka -lmsgpackc $(DAEMON_LIBS) -lm
# Expanded only when the extension is compiled, so that nothing is asked of a bare machine.
PYTHON_INCLUDE = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

PROTO  := $(wildcard proto/*.c)
CONF   := $(wildcard conf/*.c)
DAEMON := $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CLIENT := $(wildcard client/*.c)
CLI    := $(filter-out client/cli/main.c,$(wildcard client/cli/*.c))
PYEXT  := $(wildcard client/python/*.c)
PYFILES := $(wildcard client/python/brine/*.py client/python/brine/*.pyi client/python/brine/py.typed)
UNIT_TESTS := $(wildcard tests/unit/test_*.c)
UNIT_HELPERS := $(filter-out $(UNIT_TESTS),$(wildcard tests/unit/*.c))
FUZZERS := $(wildcard tests/fuzz/fuzz_*.c)
BENCHES := $(wildcard tests/bench/*.c)
BENCH_HELPERS := $(wildcard tests/bench/common/*.c)
CRASHES := $(wildcard tests/crash/*.c)
# Daemons that say they are of another release, for the tests: main.c alone knows which one it is.
OTHER_RELEASES := $(if $(wildcard daemon/main.c),$(BUILD)/releases/brined-0.0.1 $(BUILD)/releases/brined-9.0.0)
MAIN_SOURCES := $(wildcard daemon/main.c client/cli/main.c)
EVERY_SOURCE := $(PROTO) $(CONF) $(DAEMON) $(CLIENT) $(CLI) $(PYEXT) $(MAIN_SOURCES) \
	$(UNIT_TESTS) $(UNIT_HELPERS) $(FUZZERS) $(BENCHES) $(BENCH_HELPERS) $(CRASHES) $(wildcard tests/fuzz/replay.c)

# One archive per folder. Where a name stands in two folders, the link order below decides:
# each archive is searched once, and a folder uses only those behind it.
archive = $(if $($(1)),$(BUILD)/obj/$(2).a)
DAEMON_PARTS := $(call archive,DAEMON,daemon) $(call archive,CONF,conf)
CLIENT_PARTS := $(call archive,CLIENT,client) $(call archive,PROTO,proto)
EVERY_PART := $(call archive,UNIT_HELPERS,unit) $(DAEMON_PARTS) \
	$(call archive,CLI,cli) $(CLIENT_PARTS)

PROGRAMS :=
ifneq ($(wildcard daemon/main.c),)
PROGRAMS += $(BUILD)/brined
endif
ifneq ($(CLIENT),)
PROGRAMS += $(BUILD)/libbrine.so $(BUILD)/libbrine.a
ifneq ($(wildcard client/cli/main.c),)
PROGRAMS += $(BUILD)/brine
endif
endif
PYTHON_PACKAGE := $(patsubst client/python/%,$(BUILD)/python/%,$(PYFILES))
ifneq ($(PYEXT),)
PYTHON_PACKAGE += $(BUILD)/python/brine/_brine.abi3.so
endif
UNIT_PROGRAMS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_TESTS))
ifneq ($(wildcard tests/fuzz/replay.c),)
REPLAY_PROGRAMS := $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/replay/%,$(FUZZERS))
endif
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(FUZZERS))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCHES))
CRASH_PROGRAMS := $(patsubst tests/crash/%.c,$(BUILD)/crash/%,$(CRASHES))

ifeq ($(V),)
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
else
say =
endif

.PHONY: all deps demo check bench lint format asan tsan fuzz crash wheel bare install uninstall deb boot clean help
.PHONY: programs tests fuzzers FORCE
.DEFAULT_GOAL := all

## all: build the daemon, the library, the command line and the Python package into build/
all: programs

programs: $(PROGRAMS) $(PYTHON_PACKAGE)
	@:

tests: programs $(UNIT_PROGRAMS) $(REPLAY_PROGRAMS) $(CRASH_PROGRAMS) $(OTHER_RELEASES)
	@:

.SECONDARY: $(call object,$(EVERY_SOURCE))

# ---- objects and archives

# Changes when the compiler or its flags do, and only then.
quoted = '$(subst ','\'',$(1))'
FLAGS = $(BUILD)/obj/flags
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quoted,$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)) | cmp -s - $@ || \
		printf '%s\n' $(call quoted,$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)) >$@
FORCE:

$(BUILD)/obj/%.o: %.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(EXTRA_FLAGS) -MMD -MP -c -o $@ $<

$(call object,$(PYEXT)): EXTRA_FLAGS = -fvisibility=hidden -isystem $(PYTHON_INCLUDE) -DPy_LIMITED_API=0x030b0000

# $(1) name, $(2) sources
define archive_rule
$(BUILD)/obj/$(1).a: $(call object,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR,$$@)$$(AR) rcs $$@ $$^
endef
$(eval $(call archive_rule,proto,$(PROTO)))
$(eval $(call archive_rule,conf,$(CONF)))
$(eval $(call archive_rule,daemon,$(DAEMON)))
$(eval $(call archive_rule,client,$(CLIENT)))
$(eval $(call archive_rule,cli,$(CLI)))
$(eval $(call archive_rule,unit,$(UNIT_HELPERS)))
$(eval $(call archive_rule,bench,$(BENCH_HELPERS)))

-include $(patsubst %.o,%.d,$(call object,$(EVERY_SOURCE))) $(BUILD)/obj/tests/crash/brined_main.d
-include $(patsubst $(BUILD)/releases/brined-%,$(BUILD)/obj/releases/%.d,$(OTHER_RELEASES))

# ---- programs and libraries

$(BUILD)/brined: $(call object,daemon/main.c) $(DAEMON_PARTS) $(call archive,PROTO,proto)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/brine: $(call object,client/cli/main.c) $(call archive,CLI,cli) $(CLIENT_PARTS)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^

MAP := $(wildcard client/libbrine.map)
$(BUILD)/libbrine.so: $(call object,$(CLIENT) $(PROTO)) $(MAP)
	$(call say,LINK,$@)$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,libbrine.so.$(ABI) \
		$(if $(MAP),-Wl$(comma)--version-script=$(MAP)) -o $@ $(filter %.o,$^)
	@ln -sf libbrine.so $@.$(ABI)

comma := ,

# The public archive is one object in which only brine_* is visible, so that a program which
# links it may have a message_read() of its own.
$(BUILD)/libbrine.a: $(call object,$(CLIENT) $(PROTO))
	$(call say,AR,$@)$(CC) -r -nostdlib -o $(BUILD)/obj/libbrine.o $^
	@objcopy --wildcard --keep-global-symbol='brine_*' $(BUILD)/obj/libbrine.o
	@rm -f $@
	@$(AR) rcs $@ $(BUILD)/obj/libbrine.o

$(BUILD)/python/brine/_brine.abi3.so: $(call object,$(PYEXT)) $(CLIENT_PARTS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -shared $(LDFLAGS_ALL) -Wl,--exclude-libs,ALL -o $@ $^

$(BUILD)/python/%: client/python/%
	@mkdir -p $(@D)
	@cp $< $@

# ---- programs of the tests

$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(EVERY_PART)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^ $(TEST_LIBS)

$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(EVERY_PART)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(EVERY_PART)
	$(call say,LINK,$@)$(CC) -fsanitize=fuzzer $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(call archive,BENCH_HELPERS,bench) $(EVERY_PART)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS) -lhiredis -lmemcached

# The daemon with a main() of the test's around its own.
$(BUILD)/obj/tests/crash/brined_main.o: daemon/main.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$< for the tests)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -Wno-missing-prototypes \
		-Dmain=brined_main -MMD -MP -c -o $@ $<

$(BUILD)/crash/clock_main $(BUILD)/crash/users_main: $(BUILD)/obj/tests/crash/brined_main.o

$(BUILD)/crash/%: $(BUILD)/obj/tests/crash/%.o $(EVERY_PART)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(DAEMON_LIBS)

OTHER_MAINS := $(patsubst $(BUILD)/releases/brined-%,$(BUILD)/obj/releases/%.o,$(OTHER_RELEASES))
$(OTHER_MAINS): $(BUILD)/obj/releases/%.o: daemon/main.c $(FLAGS)
	@mkdir -p $(@D)
	$(call say,CC,$< as release $*)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -UBRINE_VERSION \
		-DBRINE_VERSION='"$*"' -MMD -MP -c -o $@ $<

$(OTHER_RELEASES): $(BUILD)/releases/brined-%: $(BUILD)/obj/releases/%.o $(DAEMON_PARTS) $(call archive,PROTO,proto)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -pie $(LDFLAGS_ALL) -o $@ $^ $(DAEMON_LIBS)

# ---- packages

# $(1) packages. Does nothing, and asks nothing, when all of them are there.
define install_packages
@command -v dpkg-query >/dev/null || { echo "not a Debian system: install the like of: $(1)"; exit 0; }; \
missing=; \
for name in $(1); do \
	dpkg-query -W -f='$${db:Status-Status}\n' $$name 2>/dev/null | grep -qx installed || missing="$$missing $$name"; \
done; \
[ -n "$$missing" ] || exit 0; \
sudo=; \
if [ "$$(id -u)" != 0 ]; then \
	command -v sudo >/dev/null || { echo "missing packages, and no sudo; as root: apt-get install$$missing" >&2; exit 1; }; \
	sudo=sudo; \
fi; \
echo "installing:$$missing"; \
$$sudo apt-get -qq -o DPkg::Lock::Timeout=300 update && \
$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
	install --no-install-recommends $$missing >/dev/null
endef

## deps: install the Debian packages that building and checking need
deps:
	$(call install_packages,$(PACKAGES))

# ---- running

## demo: what Brine is for, in Python on real input, with a daemon of its own; nothing of it stays
demo: deps
	@$(MAKE) all
	@PYTHONPATH='$(abspath $(BUILD))/python' $(PYTHON) client/python/demo/alike.py

RUN_TESTS = $(PYTHON) tests/run --build '$(abspath $(BUILD))' --filter '$(T)'

## check: build and run all tests; T=name runs those whose name contains it
check: deps
	@$(MAKE) tests
	@$(RUN_TESTS)

## asan: the whole suite under the address and undefined behaviour sanitizers (build/asan)
asan: deps
	@$(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined tests
	@$(PYTHON) tests/run --build '$(abspath $(BUILD))/asan' --filter '$(T)' \
		--suites unit,replay,system,python --preload "$$($(CC) -print-file-name=libasan.so)"

# Python itself is not instrumented: its extension is the plain one, the daemon is not.
## tsan: unit and system tests under the thread sanitizer (build/tsan)
tsan: deps
	@$(MAKE) all
	@$(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread tests
	@$(PYTHON) tests/run --build '$(abspath $(BUILD))/tsan' --filter '$(T)' \
		--python-build '$(abspath $(BUILD))' --suites unit,replay,system

## fuzz: run each fuzz target for FUZZ_TIME seconds (60), from its corpus (build/fuzz)
fuzz:
	$(call install_packages,$(PACKAGES) $(FUZZ_PACKAGES))
	@$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@tests/fuzz/run '$(abspath $(BUILD))/fuzz' $(FUZZ_TIME) '$(T)'

fuzzers: $(FUZZ_PROGRAMS)

## bench: measure Brine beside its rivals, as ratios of one run
bench: deps
	$(call install_packages,$(BENCH_PACKAGES))
	@$(MAKE) all $(BENCH_PROGRAMS)
	@BRINE_BUILD='$(abspath $(BUILD))' PYTHON='$(PYTHON)' tests/bench/run

## crash: kill the daemon, fill it, starve it, at length, and verify what it had promised; T=part
crash: deps
	@$(MAKE) all $(CRASH_PROGRAMS)
	@BRINE_BUILD='$(abspath $(BUILD))' PYTHON='$(PYTHON)' tests/crash/run '$(T)'

# ---- style

FORMATTED = $(shell find $(wildcard proto conf daemon client tests) -name "*.[ch]")

## lint: include graph, format, headers, manual pages, systemd units, Python types, and a build without warnings by gcc and clang
lint:
	$(call install_packages,$(PACKAGES) $(LINT_PACKAGES))
	@$(PYTHON) tests/lint/include_graph.py
	@clang-format --dry-run -Werror $(FORMATTED)
	@for header in $(filter-out tests/%,$(filter %.h,$(FORMATTED))); do \
		$(CC) $(CPPFLAGS_ALL) -isystem $(PYTHON_INCLUDE) -std=gnu11 $(WARNINGS) \
			-fsyntax-only -x c $$header || exit 1; \
	done
	@for page in $(wildcard man/*.[1-9]); do mandoc -Tlint -W warning $$page || exit 1; done
	@$(MAKE) tests
	@$(PYTHON) -m mypy --strict --no-error-summary --cache-dir /dev/null client/python/brine
	@MYPYPATH=$(BUILD)/python PYTHONPATH=$(BUILD)/python $(PYTHON) -m mypy.stubtest brine._brine
	@rm -rf $(BUILD)/units && install -d $(BUILD)/units/system $(BUILD)/units/user
	@for scope in system user; do \
		cp systemd/$$scope/brined.socket $(BUILD)/units/$$scope/ && \
		sed 's|@BINDIR@|$(abspath $(BUILD))|; s|@SYSCONFDIR@|/etc|' systemd/$$scope/brined.service.in \
			>$(BUILD)/units/$$scope/brined.service || exit 1; \
	done
	@$(PYTHON) tests/lint/units.py $(BUILD)/units
	@$(MAKE) BUILD=$(BUILD)/clang CC=clang tests
	@echo 'lint: clean'

## format: rewrite the C files in the one format
format:
	$(call install_packages,clang-format)
	@clang-format -i $(FORMATTED)

# ---- the wheel

## wheel: build/dist/*.whl, one Python package with the daemon and the command line, that needs nothing beside it
wheel: deps
	@$(PYTHON) -m pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w $(BUILD)/dist .
	@ls $(BUILD)/dist/*.whl

## bare: try the wheel on a Debian that has Python and none of our libraries (as root; debootstrap, some minutes)
bare: wheel
	$(call install_packages,debootstrap)
	@tests/bare/run $(BUILD)/dist/*.whl

# ---- installing

# kind:source:target of everything that install writes and uninstall removes. A kind is a mode; a mode and "in" for a
# text with @NAMES@ in it; or "link", whose source is what it points to.
INSTALLED = $(strip \
	$(if $(wildcard daemon/main.c),755:$(BUILD)/brined:$(BINDIR)/brined) \
	$(if $(filter %/brine,$(PROGRAMS)),755:$(BUILD)/brine:$(BINDIR)/brine) \
	$(if $(CLIENT),644:$(BUILD)/libbrine.a:$(LIBDIR)/libbrine.a \
		644:$(BUILD)/libbrine.so:$(LIBDIR)/libbrine.so.$(VERSION) \
		link:libbrine.so.$(VERSION):$(LIBDIR)/libbrine.so.$(ABI) \
		link:libbrine.so.$(ABI):$(LIBDIR)/libbrine.so \
		644:client/brine.h:$(INCLUDEDIR)/brine.h \
		644in:client/libbrine.pc.in:$(LIBDIR)/pkgconfig/libbrine.pc) \
	$(foreach page,$(wildcard man/*.[1-9]),\
		644:$(page):$(MANDIR)/man$(patsubst .%,%,$(suffix $(page)))/$(notdir $(page))) \
	$(foreach file,$(PYTHON_PACKAGE),\
		644:$(file):$(PYTHONDIR)/$(patsubst $(BUILD)/python/%,%,$(file))) \
	644:client/cli/brine.bash:$(COMPLETIONDIR)/brine \
	link:brine:$(COMPLETIONDIR)/brined \
	644:systemd/system/brined.socket:$(SYSTEMUNITDIR)/brined.socket \
	644in:systemd/system/brined.service.in:$(SYSTEMUNITDIR)/brined.service \
	644:systemd/user/brined.socket:$(USERUNITDIR)/brined.socket \
	644in:systemd/user/brined.service.in:$(USERUNITDIR)/brined.service \
	644:systemd/brine.sysusers:$(SYSUSERSDIR)/brine.conf \
	644:docs/operations.md:$(DOCDIR)/operations.md \
	644:systemd/examples/group.conf:$(DOCDIR)/examples/brined.socket.d/group.conf)
# What is left empty when they are gone, and is of no use to others.
OWN_FOLDERS = $(PYTHONDIR)/brine $(DOCDIR)/examples/brined.socket.d $(DOCDIR)/examples $(DOCDIR)
EXAMPLE = $(DESTDIR)$(SYSCONFDIR)/brine/brined.conf
SUBSTITUTED = PREFIX BINDIR LIBDIR INCLUDEDIR SYSCONFDIR VERSION
substitute = sed $(foreach name,$(SUBSTITUTED),-e 's|@$(name)@|$($(name))|g')

## install: install under PREFIX (/usr/local), below DESTDIR; keeps an existing brined.conf
install: programs
	@for item in $(INSTALLED); do \
		kind=$${item%%:*}; rest=$${item#*:}; source=$${rest%%:*}; target="$(DESTDIR)$${rest#*:}"; \
		case $$kind in \
		link) install -d "$${target%/*}" && ln -sf "$$source" "$$target" ;; \
		*in) install -D -m $${kind%in} "$$source" "$$target" && $(substitute) "$$source" >"$$target" ;; \
		*) install -D -m $$kind "$$source" "$$target" ;; \
		esac || exit 1; \
	done
	@if [ -e $(EXAMPLE) ]; then echo "kept $(EXAMPLE)"; \
	else install -D -m 644 conf/brined.conf $(EXAMPLE); fi
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

## uninstall: remove what install wrote; a brined.conf that was changed stays
uninstall:
	@for item in $(INSTALLED); do rm -f "$(DESTDIR)$${item##*:}"; done
	@rm -rf "$(DESTDIR)$(PYTHONDIR)/brine/__pycache__"
	@if cmp -s conf/brined.conf $(EXAMPLE); then rm -f $(EXAMPLE); \
	elif [ -e $(EXAMPLE) ]; then echo "kept $(EXAMPLE), which was changed"; fi
	@for folder in $(OWN_FOLDERS) $(SYSCONFDIR)/brine; do rmdir "$(DESTDIR)$$folder" 2>/dev/null || :; done

# ---- Debian packages

DEB = $(BUILD)/deb/brine-$(VERSION)

## deb: build the Debian packages into build/deb/, and have lintian look at them
deb:
	$(call install_packages,$(PACKAGES) $(DEB_PACKAGES))
	@[ "$$(dpkg-parsechangelog -S Version | cut -d- -f1)" = $(VERSION) ] || \
		{ echo "debian/changelog is not about $(VERSION)" >&2; exit 1; }
	@rm -rf $(BUILD)/deb && install -d $(DEB)
	@cp -R client conf daemon debian docs man proto systemd tests Makefile LICENSE *.md $(DEB)/
	@cd $(DEB) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage -b -us -uc
	@lintian --fail-on error $(BUILD)/deb/brine_*.changes
	@ls $(BUILD)/deb/*.deb

## boot: the packages on a machine with systemd of its own: activation, crashes, a hang, an upgrade under load, purge
boot: deb
	$(call install_packages,$(BOOT_PACKAGES))
	@$(MAKE) $(OTHER_RELEASES)
	@BRINE_BUILD='$(abspath $(BUILD))' $(PYTHON) -m pytest -q -ra -p no:cacheprovider -k '$(T)' tests/boot

## clean: remove the build folder
clean:
	@rm -rf $(BUILD)

## help: this list
help:
	@sed -n 's/^## \([a-z]*\): /\1\t/p' Makefile | expand -t 12
