# SPDX-License-Identifier: MIT
#
# librecoptout. `make help` lists the targets. Variables worth knowing:
#   V=1          print the commands          WERROR=1      warnings are errors
#   CC=clang     another compiler            CFLAGS=...    optimisation, debugging; nothing required
#   B=folder     where everything is built   SAN=address   ASan and UBSan, in build/asan
#   DESTDIR, prefix, libdir, includedir      SAN=thread    TSan, in build/tsan

# ---------------------------------------------------------------------------- version
# One place: include/recoptout.h. ABI is the N of librecoptout.so.N.

ABI         := 1
VERSION     := $(shell sed -n 's/^.define RCO_VERSION_STRING *"\(.*\)"$$/\1/p' include/recoptout.h)
VERSION_NUM := $(shell awk '$$2 == "RCO_VERSION_MAJOR" { a = $$3 } $$2 == "RCO_VERSION_MINOR" { b = $$3 } \
	$$2 == "RCO_VERSION_PATCH" { c = $$3 } END { print a "." b "." c }' include/recoptout.h)
VERSION_LOG := $(shell sed -n 's/^\#\# \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)

# ---------------------------------------------------------------------------- guards

ifneq ($(VERSION),$(VERSION_NUM))
$(error include/recoptout.h contradicts itself: RCO_VERSION_STRING is $(VERSION), the numbers say $(VERSION_NUM))
endif
ifneq ($(VERSION),$(VERSION_LOG))
$(error version $(VERSION) of include/recoptout.h is not the newest heading of CHANGELOG.md, which is $(VERSION_LOG))
endif
ifneq ($(filter-out address thread,$(SAN)),)
$(error SAN is "$(SAN)"; it may be empty, address or thread)
endif

# ---------------------------------------------------------------------------- flags
# CFLAGS, CPPFLAGS, LDFLAGS belong to whoever builds; what the code needs is in the REQ_ variables.

ifeq ($(SAN),address)
B ?= build/asan
CFLAGS ?= -O1 -g
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SAN),thread)
B ?= build/tsan
CFLAGS ?= -O1 -g
SAN_FLAGS := -fsanitize=thread -fno-omit-frame-pointer
else
B ?= build
CFLAGS ?= -O2 -g
SAN_FLAGS :=
endif

CC         ?= cc
CXX        ?= c++
AR         ?= ar
INSTALL    ?= install
PKG_CONFIG ?= pkg-config

prefix     ?= /usr/local
includedir ?= $(prefix)/include
libdir     ?= $(prefix)/lib

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# Looked up when first used, because `make demo` may install the packages in the same run.
DEPS     := libsodium libzstd jansson uuid
DEP_CFLAGS = $(eval DEP_CFLAGS := $$(shell $(PKG_CONFIG) --cflags $(DEPS) 2>/dev/null))$(DEP_CFLAGS)
DEP_LIBS   = $(eval DEP_LIBS := $$(shell $(PKG_CONFIG) --libs $(DEPS) 2>/dev/null || \
	echo -lsodium -lzstd -ljansson -luuid))$(DEP_LIBS)

REQ_CFLAGS = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -fPIC -fvisibility=hidden -pthread \
	-fstack-protector-strong $(WARNINGS) $(SAN_FLAGS) $(DEP_CFLAGS)
ALL_CFLAGS = $(REQ_CFLAGS) $(CPPFLAGS) $(CFLAGS)

# A symbol of the map that does not exist is an error where the linker can say so.
MAP        := lib/recoptout.map
NO_UNDEF_V  = $(eval NO_UNDEF_V := $$(shell echo 'int x;' | $(CC) -shared -fPIC -x c - -o /dev/null \
	-Wl,--no-undefined-version 2>/dev/null && echo -Wl,--no-undefined-version))$(NO_UNDEF_V)
SO_LDFLAGS  = -shared -pthread -Wl,--as-needed -Wl,-soname,$(SONAME) -Wl,--version-script=$(MAP) $(NO_UNDEF_V) \
	$(if $(SAN),,-Wl$(comma)-z$(comma)defs) -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
comma      := ,

ifeq ($(V),1)
Q   :=
say  = @:
else
Q   := @
say  = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),@:,@printf '  %-7s %s\n')
endif

# ---------------------------------------------------------------------------- files

STATIC  := $(B)/librecoptout.a
SONAME  := librecoptout.so.$(ABI)
REAL    := $(SONAME).$(VERSION)
SHARED  := $(B)/$(REAL)
PC      := $(B)/recoptout.pc
HEADERS := $(wildcard include/*.h include/*/*.h)

LIB_SRC  := $(wildcard lib/base/*.c lib/media/*.c lib/ledger/*.c lib/storage/*.c lib/session/*.c \
	lib/agent/*.c lib/control/*.c lib/sip/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/obj/%.o)
TEST_SRC := $(wildcard tests/*/test_*.c)
TEST_BIN := $(TEST_SRC:%.c=$(B)/%)
HELP_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/support*.c tests/crash/kill*.c tests/crash/images*.c \
	tests/race/sched*.c tests/fault/nth*.c) \
	$(filter-out $(TEST_SRC),$(wildcard tests/world/*.c)))

# Fuzz targets: each a program with libFuzzer (tests/fuzz/run.sh), and all of them in the test over their corpora.
FUZZ_KIT := $(patsubst %.c,$(B)/obj/%.o,$(filter-out tests/fuzz/test_% tests/fuzz/fuzz_% tests/fuzz/libfuzzer.c,\
	$(wildcard tests/fuzz/*.c)))
FUZZ_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_OBJ:$(B)/obj/%.o=$(B)/%)

# Programs that try far more than `make check` has time for: tests/FOLDER/campaign_NAME.c.
CAMPAIGN := $(patsubst %.c,$(B)/%,$(wildcard tests/*/campaign_*.c))

# examples/NAME.c and examples/NAME/*.c are one program each, NAME.
EX_DIRS  := $(sort $(patsubst %/,%,$(dir $(wildcard examples/*/*.c))))
EXAMPLES := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c)) $(EX_DIRS:%=$(B)/%)

# The bench is one program, which sees the library from inside.
BENCH     := $(B)/bench/bench
BENCH_OUT := $(B)/bench
BENCH_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/bench/*.c))
ONLY      ?=
SECONDS_EACH ?= 60

ALL_OBJ  := $(LIB_OBJ) $(HELP_OBJ) $(BENCH_OBJ) \
	$(patsubst %.c,$(B)/obj/%.o,$(TEST_SRC) $(wildcard tests/*/campaign_*.c tests/fuzz/*.c examples/*.c examples/*/*.c))
CPU      := $(shell nproc 2>/dev/null || echo 2)
JOBS      = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(CPU))

lib: $(STATIC) $(SHARED) $(PC) ## build the library (the default)
all: lib examples ## build the library and the examples

.PHONY: all lib tests unit examples demo show bench bench-plots check check-abi check-lint check-install \
	check-readme check-python check-agents check-telephony check-faults check-crash check-kills check-model check-mutants check-races fuzz fuzz-programs soak \
	coverage format packages install uninstall clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY: $(ALL_OBJ)
FORCE:

# ---------------------------------------------------------------------------- objects
# Objects depend on .flags, which changes only when the compiler or its flags do.

$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || { \
		printf '#include <%s>\n' sodium.h zstd.h jansson.h uuid/uuid.h | \
		$(CC) $(ALL_CFLAGS) -E -x c - >/dev/null || { \
			echo "A header of a needed library is missing: run 'make packages' as root," \
				"or install libsodium, libzstd, jansson and libuuid (development files)."; exit 1; }; \
		echo '$(CC) $(ALL_CFLAGS)' >$@; }

$(B)/obj/%.o: %.c $(B)/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

-include $(ALL_OBJ:.o=.d)

# ---------------------------------------------------------------------------- link

$(STATIC): $(LIB_OBJ)
	$(say) AR $@
	@mkdir -p $(@D)
	$(Q)rm -f $@.tmp && $(AR) rcs $@.tmp $(LIB_OBJ) && mv -f $@.tmp $@

$(SHARED): $(LIB_OBJ) $(MAP)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(SO_LDFLAGS) $(LIB_OBJ) $(DEP_LIBS) -o $@
	$(Q)ln -sf $(REAL) $(B)/$(SONAME) && ln -sf $(SONAME) $(B)/librecoptout.so

# What an example needs beside the library.
$(B)/examples/webhook: EX_LIBS := -lmicrohttpd
$(B)/examples/sip_recorder: EX_LIBS := -lrem -lre
$(B)/examples/recorders: EX_LIBS := -lcurl
$(B)/examples/ear: EX_LIBS := -lpocketsphinx -lsphinxbase
$(B)/obj/examples/ear/%.o: CPPFLAGS += $(shell $(PKG_CONFIG) --cflags pocketsphinx 2>/dev/null | sed "s/-I/-isystem /g")

$(EXAMPLES): $(SHARED)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) -L$(B) -lrecoptout \
		-Wl,-rpath,'$$ORIGIN/..' -Wl,--as-needed $(DEP_LIBS) $(EX_LIBS) -lm -o $@

$(foreach d,$(EX_DIRS),$(eval $(B)/$d: $(patsubst %.c,$(B)/obj/%.o,$(wildcard $d/*.c))))
$(foreach f,$(wildcard examples/*.c),$(eval $(B)/$(f:.c=): $(B)/obj/$(f:.c=.o)))

$(TEST_BIN) $(CAMPAIGN): $(B)/%: $(B)/obj/%.o $(HELP_OBJ) $(STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) $(STATIC) -lcmocka $(DEP_LIBS) -lm -o $@

$(B)/tests/fuzz/test_corpus $(B)/tests/fuzz/test_damage: $(FUZZ_OBJ) $(FUZZ_KIT)

# With the flags of tests/fuzz/run.sh.
fuzz-programs: $(FUZZ_BIN)
$(FUZZ_BIN): $(B)/%: $(B)/obj/%.o $(FUZZ_KIT) $(B)/obj/tests/fuzz/libfuzzer.o $(STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread $(filter %.o,$^) $(STATIC) $(DEP_LIBS) -lm -o $@

$(BENCH): $(BENCH_OBJ) $(STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) -pthread $(BENCH_OBJ) $(STATIC) -lsndfile -lFLAC -lwavpack \
		$(DEP_LIBS) -lm -o $@

examples: $(EXAMPLES) ## build the examples

# ---------------------------------------------------------------------------- pkg-config

$(PC): pkgconfig/recoptout.pc.in include/recoptout.h FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(prefix)|' -e 's|@LIBDIR@|$(libdir:$(prefix)/%=$${prefix}/%)|' \
		-e 's|@INCLUDEDIR@|$(includedir:$(prefix)/%=$${prefix}/%)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(DEP_LIBS) -pthread|' $< >$@

# ---------------------------------------------------------------------------- install

install: lib ## install headers, library and recoptout.pc (DESTDIR, prefix, libdir, includedir)
	$(INSTALL) -d $(DESTDIR)$(includedir)/recoptout $(DESTDIR)$(libdir)/pkgconfig
	$(INSTALL) -m 644 $(wildcard include/*.h) $(DESTDIR)$(includedir)/
	$(INSTALL) -m 644 $(wildcard include/recoptout/*.h) $(DESTDIR)$(includedir)/recoptout/
	$(INSTALL) -m 755 $(SHARED) $(DESTDIR)$(libdir)/
	ln -sf $(REAL) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/librecoptout.so
	$(INSTALL) -m 644 $(PC) $(DESTDIR)$(libdir)/pkgconfig/
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then PATH=$$PATH:/sbin:/usr/sbin ldconfig || :; fi

uninstall: ## remove what install put there
	rm -f $(HEADERS:include/%=$(DESTDIR)$(includedir)/%) $(DESTDIR)$(libdir)/pkgconfig/recoptout.pc
	rm -f $(DESTDIR)$(libdir)/$(REAL) $(DESTDIR)$(libdir)/$(SONAME) $(DESTDIR)$(libdir)/librecoptout.so
	if [ -d $(DESTDIR)$(includedir)/recoptout ]; then rmdir $(DESTDIR)$(includedir)/recoptout; fi

# ---------------------------------------------------------------------------- tests

TESTS ?= $(TEST_BIN)

tests: $(TEST_BIN) ## build the tests

unit: $(TESTS) ## build and run the unit, promise and layout tests (TESTS=build/tests/unit/test_x for one)
	@SAN='$(SAN)' tests/tools/run_tests.sh $(B)/log $(TESTS)

check-abi: lib ## header alone, exported symbols against the map
	@B='$(B)' CC='$(CC)' CXX='$(CXX)' tests/tools/abi_check.sh

check-lint: ## ban list, formatting, spelling, shell scripts
	@tests/tools/lint.sh --self-test
	@tests/tools/lint.sh

check-install: lib ## install into an empty folder, build a program against it, uninstall
	@B='$(B)' CC='$(CC)' RUN_MAKE='$(MAKE)' tests/tools/install_check.sh

check-python: ## the Python package, installed, with pytest
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/python/run.sh

check-agents: ## MCP server, tool definitions and handlers, with the platforms' own tools from npm
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/node/run.sh
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/e2e/webhook_check.sh

check-telephony: ## real SIP calls with recorded speech, beside real recorders; at most ten minutes
	@tests/tools/packages.sh telephony
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/telephony/run.sh

check-readme: lib ## compile and run the C program of README.md as printed
	@B='$(B)' RUN_MAKE='$(MAKE)' tests/e2e/readme_check.sh

format: ## format the C sources with clang-format 14
	clang-format-14 -i $(wildcard $(foreach d,lib/* include include/* tests/* examples examples/*,$d/*.[ch]) tests/*.[ch])

packages: ## install the Debian packages that building and testing need
	@tests/tools/packages.sh check

demo: ## recordings of human speech, some opted out; proves what is kept and what is gone
	@tests/tools/packages.sh demo
	+@$(MAKE) --no-print-directory -s $(JOBS) $(B)/examples/demo
	@$(B)/examples/demo

show: ## a caller says "stop the recording", and that is heard: a SIP call with a timeline
	@tests/tools/packages.sh telephony
	+@$(MAKE) --no-print-directory -s $(JOBS) $(B)/examples/sip_recorder $(B)/examples/ear
	@B='$(B)' PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tests/telephony/show.py

bench: ## measure everything beside its peers, about 15 minutes (ONLY="push growth" for some groups)
	@tests/tools/packages.sh bench
	+@$(MAKE) --no-print-directory -s $(JOBS) $(BENCH)
	@$(BENCH) --out $(BENCH_OUT) $(ONLY)

bench-plots: $(BENCH) ## draw docs/performance/*.svg anew from the last whole run of bench
	@$(BENCH) --draw $(BENCH_OUT)/results.json docs/performance

# ---------------------------------------------------------------------------- proof
# Campaigns, described in docs/testing.md. `make check` runs the quick part of each.

check-faults: ## every allocation, backend call, file operation and system call fails once, then in pairs
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/fault/campaign.sh

check-crash: ## at least 100,000 crash images, each recovered and judged; at most ten minutes
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/crash/campaign.sh

soak: ## the same without an end: FOR=3600 (seconds) or COUNT=1000000 (images), SEED=1
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/crash/campaign.sh --for '$(FOR)' --count '$(COUNT)' --seed '$(SEED)'

check-kills: ## a process under load, killed at system calls and at random moments, at least 2,000 times
	@tests/tools/packages.sh kills
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/crash/kills.sh

check-model: ## the Spin model, exhaustively, and its mutants
	@tests/tools/packages.sh model
	@tests/model/run.sh

check-mutants: ## seeded defects in copies of the code, each to be noticed by a test
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/mutants/run.sh

check-races: ## interleavings of the gate, litmus tests here and for arm64 (qemu), stress tests under TSan
	@tests/tools/packages.sh races
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/race/run.sh

fuzz: ## libFuzzer over every parser of bytes from outside: SECONDS_EACH=60, ONLY="ledger receipt"
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/fuzz/run.sh --seconds '$(SECONDS_EACH)' $(ONLY)

coverage: ## branches of lib/ that the tests reach, as a table, and each that they do not
	@tests/tools/packages.sh coverage
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/coverage.sh

check: ## everything: packages, lint, gcc, clang, sanitizers, ABI, install, README, demo
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/check.sh

# ---------------------------------------------------------------------------- clean

clean: ## remove what was built
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
