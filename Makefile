# SPDX-License-Identifier: Apache-2.0
#
# A thin front: every target is one or two lines that call a script in tools/, which can be called by hand just as
# well. Meson builds; each flavour has a folder of its own under build/ (see tools/build).

PREFIX = /usr/local
DESTDIR =
UNITDIR = $(PREFIX)/lib/systemd/system
SECONDS = 30
KILLS = 60

.PHONY: all run test asan tsan lint format fuzz sim torture cover bench man install clean distclean help

all: ## build build/tollkey (the default)
	@tools/setup run
	@tools/build plain

run: ## start Tollkey with a demo upstream, and say what to try
	@tools/run

test: ## every test, every flavour; ends with "N passed, N failed"
	@tools/test

asan: ## all tests with the program built with ASan and UBSan
	@tools/test asan

tsan: ## the threaded tests with the program built with TSan
	@tools/test tsan

lint: ## the house rules (tools/lint --list says which)
	@tools/setup test
	@tools/build plain
	@tools/lint

format: ## lay out all C files as lint wants them
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 -i

fuzz: ## search for inputs that break a parser, SECONDS=30 each
	@tools/setup test
	@tools/fuzz $(SECONDS)

torture: ## kill a server under load KILLS=60 times, and audit its ledger; SEED=n tries the same again
	@tools/setup test
	@tools/build plain
	@build/venv/bin/python tests/torture/torture.py --kills $(KILLS) $(if $(SEED),--seed $(SEED))

sim: ## the ledger on simulated disks and clocks; SEED=n replays one run, event by event
	@tools/setup test
	@tools/build plain tests/sim/sim
	@build/plain/tests/sim/sim $(if $(SEED),--seed $(SEED) --verbose)

cover: ## which lines the tests reach: build/cover/report/index.html
	@tools/test cover

bench: ## measure, beside nginx and a bare handler, as ratios
	@tools/bench

man: ## the manual pages, into build/man
	@tools/mkman build/man

install: all man ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5
	install -d $(DESTDIR)$(PREFIX)/share/doc/tollkey $(DESTDIR)$(UNITDIR)
	install -m 755 build/tollkey $(DESTDIR)$(PREFIX)/bin/tollkey
	install -m 644 build/man/tollkey.1 $(DESTDIR)$(PREFIX)/share/man/man1/tollkey.1
	install -m 644 build/man/tollkey.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/tollkey.yaml.5
	install -m 644 tollkey.example.yaml LICENSE NEWS.md $(DESTDIR)$(PREFIX)/share/doc/tollkey
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/tollkey.service >$(DESTDIR)$(UNITDIR)/tollkey.service
	chmod 644 $(DESTDIR)$(UNITDIR)/tollkey.service

clean: ## remove what was built; keeps the Python test packages and var/
	@find build -mindepth 1 -maxdepth 1 ! -name venv -exec rm -rf {} + 2>/dev/null || true

distclean: ## remove all of build/; keeps var/
	rm -rf build

help: ## this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
