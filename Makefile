# SPDX-License-Identifier: MIT
#
# librecoptout. `make help` lists the targets. Variables worth knowing:
#   V=1          print the commands          WERROR=1      warnings are errors
#   CC=clang     another compiler            CFLAGS=...    optimisation, debugging; nothing required
#   B=folder     where everything is built   SAN=address   ASan and UBSan, in build/asan
#   DESTDIR, prefix, bindir, libdir, ...     SAN=thread    TSan, in build/tsan

# ---------------------------------------------------------------------------- version
# One place: include/recoptout.h. ABI is the N of librecoptout.so.N, AGENT_ABI that of librecoptout-agent.so.N.

ABI         := 2
AGENT_ABI   := 2
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
# CFLAGS, CPPFLAGS, LDFLAGS belong to the person who builds; what the code needs is in the REQ_ variables.

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
bindir     ?= $(prefix)/bin
libdir     ?= $(prefix)/lib

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

# Looked up when first used, because `make demo` may install the packages in the same run.
DEPS       := libsodium libzstd uuid
AGENT_DEPS := jansson
DEP_CFLAGS = $(eval DEP_CFLAGS := $$(shell $(PKG_CONFIG) --cflags $(DEPS) $(AGENT_DEPS) 2>/dev/null))$(DEP_CFLAGS)
DEP_LIBS   = $(eval DEP_LIBS := $$(shell $(PKG_CONFIG) --libs $(DEPS) 2>/dev/null || \
	echo -lsodium -lzstd -luuid))$(DEP_LIBS)
AGENT_LIBS = $(eval AGENT_LIBS := $$(shell $(PKG_CONFIG) --libs $(AGENT_DEPS) 2>/dev/null || echo -ljansson))$(AGENT_LIBS)

# Hardening, as far as this compiler has it for this processor; each flag is tried once. Fortified functions want an
# optimiser, and sanitizers have checks of their own; who builds may ask for another level (_FORTIFY_SOURCE).
first_that_works = $(shell for flag in $(1); do printf '\043include <string.h>\nint main(void) { return 0; }\n' | \
	$(CC) -Werror $(CPPFLAGS) $(CFLAGS) $$flag -x c -c - -o /dev/null 2>/dev/null && { echo $$flag; break; }; done)
FORTIFY   = $(if $(SAN)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(findstring -fsanitize,$(CFLAGS)),,$(addprefix -U_FORTIFY_SOURCE ,\
	$(call first_that_works,-D_FORTIFY_SOURCE=3 -D_FORTIFY_SOURCE=2)))
HARDENING = $(eval HARDENING := $$(FORTIFY) $$(call first_that_works,-fcf-protection=full -mbranch-protection=standard) \
	$$(call first_that_works,-fstack-clash-protection))$(HARDENING)
LD_HARDENING := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

REQ_CFLAGS = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -fPIC -fvisibility=hidden -pthread \
	-fstack-protector-strong $(HARDENING) $(WARNINGS) $(SAN_FLAGS) $(DEP_CFLAGS)
ALL_CFLAGS = $(REQ_CFLAGS) $(CPPFLAGS) $(CFLAGS)

# A symbol of a map that does not exist is an error where the linker can say so.
NO_UNDEF_V  = $(eval NO_UNDEF_V := $$(shell echo 'int x;' | $(CC) -shared -fPIC -x c - -o /dev/null \
	-Wl,--no-undefined-version 2>/dev/null && echo -Wl,--no-undefined-version))$(NO_UNDEF_V)
# $(call so_ldflags,SONAME,MAP)
so_ldflags  = -shared -pthread -Wl,--as-needed -Wl,-soname,$(1) -Wl,--version-script=$(2) $(NO_UNDEF_V) \
	$(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(LD_HARDENING)
comma      := ,

ifeq ($(V),1)
Q   :=
say  = @:
else
Q   := @
say  = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),@:,@printf '  %-7s %s\n')
endif

# ---------------------------------------------------------------------------- files

# Two libraries: the calls, and what speaks to agents and other processes, by public functions of the first.
STATIC  := $(B)/librecoptout.a
SONAME  := librecoptout.so.$(ABI)
REAL    := $(SONAME).$(VERSION)
SHARED  := $(B)/$(REAL)
MAP     := lib/recoptout.map
AGENT_STATIC := $(B)/librecoptout-agent.a
AGENT_SONAME := librecoptout-agent.so.$(AGENT_ABI)
AGENT_REAL   := $(AGENT_SONAME).$(VERSION)
AGENT_SHARED := $(B)/$(AGENT_REAL)
AGENT_MAP    := lib/recoptout-agent.map
# For the tests of those who write backends: static alone, made of public functions of the first.
CONF_STATIC := $(B)/librecoptout-conformance.a
PC      := $(B)/recoptout.pc $(B)/recoptout-agent.pc $(B)/recoptout-conformance.pc
HEADERS := $(wildcard include/*.h include/*/*.h)

LIB_SRC  := $(filter-out lib/base/json.c,$(wildcard lib/base/*.c lib/media/*.c lib/ledger/*.c lib/storage/*.c \
	lib/session/*.c lib/sip/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/obj/%.o)
AGENT_SRC := lib/base/json.c $(wildcard lib/agent/*.c lib/control/*.c)
AGENT_OBJ := $(AGENT_SRC:%.c=$(B)/obj/%.o)
CONF_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard lib/conformance/*.c))
# Small helpers without state of the engine, which each shared library has for itself; the static one takes them from
# librecoptout.a.
BOTH_OBJ := $(patsubst %,$(B)/obj/lib/base/%.o,env fail json_walk json_write lock status thread trust words)
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

# Programs that try far more than there is time for in every check: tests/FOLDER/campaign_NAME.c.
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

ALL_OBJ  := $(LIB_OBJ) $(AGENT_OBJ) $(CONF_OBJ) $(HELP_OBJ) $(BENCH_OBJ) \
	$(patsubst %.c,$(B)/obj/%.o,$(TEST_SRC) $(wildcard tests/*/campaign_*.c tests/fuzz/*.c examples/*.c examples/*/*.c))
CPU      := $(shell nproc 2>/dev/null || echo 2)
JOBS      = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(CPU))

lib: $(STATIC) $(SHARED) $(AGENT_STATIC) $(AGENT_SHARED) $(CONF_STATIC) $(PC) ## build the libraries (the default)
all: lib examples ## build the libraries and the examples

.PHONY: all lib objects tests unit examples demo show bench bench-plots abi-dump check check-abi check-lint check-all check-install \
	check-readme check-documents check-python check-agents check-musl check-cross check-telephony check-faults check-crash check-kills check-model check-mutants check-races fuzz fuzz-programs soak \
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

# For a system without the libraries to link with (tests/tools/musl.sh).
objects: $(LIB_OBJ) $(AGENT_OBJ) $(CONF_OBJ) $(HELP_OBJ) $(patsubst %.c,$(B)/obj/%.o,$(TEST_SRC) $(wildcard examples/*.c examples/demo/*.c))

$(B)/obj/%.o: %.c $(B)/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(OWN) -MMD -MP -c $< -o $@

# Tests stand in front of functions of the C library, which are not to be inline for that.
$(B)/obj/tests/%.o: OWN = -U_FORTIFY_SOURCE

-include $(ALL_OBJ:.o=.d)

# ---------------------------------------------------------------------------- link

# $(call archive,OBJECTS)
archive = $(Q)rm -f $@.tmp && $(AR) rcs $@.tmp $(1) && mv -f $@.tmp $@

$(STATIC): $(LIB_OBJ)
	$(say) AR $@
	@mkdir -p $(@D)
	$(call archive,$(LIB_OBJ))

$(AGENT_STATIC): $(AGENT_OBJ)
	$(say) AR $@
	@mkdir -p $(@D)
	$(call archive,$(AGENT_OBJ))

$(CONF_STATIC): $(CONF_OBJ)
	$(say) AR $@
	@mkdir -p $(@D)
	$(call archive,$(CONF_OBJ))

$(SHARED): $(LIB_OBJ) $(MAP)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(call so_ldflags,$(SONAME),$(MAP)) $(LIB_OBJ) $(DEP_LIBS) -o $@
	$(Q)ln -sf $(REAL) $(B)/$(SONAME) && ln -sf $(SONAME) $(B)/librecoptout.so

# It finds the first library beside itself: the run path of a program is not that of the libraries it loads.
$(AGENT_SHARED): $(AGENT_OBJ) $(BOTH_OBJ) $(AGENT_MAP) $(SHARED)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(call so_ldflags,$(AGENT_SONAME),$(AGENT_MAP)) $(AGENT_OBJ) $(BOTH_OBJ) \
		-L$(B) -lrecoptout -Wl,-rpath,'$$ORIGIN' $(AGENT_LIBS) -o $@
	$(Q)ln -sf $(AGENT_REAL) $(B)/$(AGENT_SONAME) && ln -sf $(AGENT_SONAME) $(B)/librecoptout-agent.so

# What a program of ours links.
OURS_SHARED = -L$(B) -Wl,--as-needed -lrecoptout-agent -lrecoptout
OURS_STATIC = $(AGENT_STATIC) $(STATIC)

# What an example needs beside the library.
$(B)/examples/webhook: EX_LIBS := -lmicrohttpd
$(B)/examples/simulator: EX_LIBS := -lncursesw -ltinfo
$(B)/examples/sip_recorder: EX_LIBS := -lrem -lre
$(B)/examples/recorders: EX_LIBS := -lcurl
$(B)/examples/ear: EX_LIBS := -lpocketsphinx -lsphinxbase
$(B)/obj/examples/ear/%.o: CPPFLAGS += $(shell $(PKG_CONFIG) --cflags pocketsphinx 2>/dev/null | sed "s/-I/-isystem /g")

# The MCP server reads messages as the library does.
MCP_ALSO := $(patsubst %,$(B)/obj/lib/%.o,base/json_walk agent/event_stream agent/message agent/names agent/places \
	agent/plain agent/plain_speaker agent/platforms agent/rows)
$(B)/examples/mcp_server: $(MCP_ALSO)
$(B)/examples/webhook: $(B)/obj/lib/base/json_walk.o

$(EXAMPLES): $(SHARED) $(AGENT_SHARED)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(LD_HARDENING) -pthread $(filter %.o,$^) $(OURS_SHARED) \
		-Wl,-rpath,'$$ORIGIN/..' $(DEP_LIBS) $(AGENT_LIBS) $(EX_LIBS) -lm -o $@

$(foreach d,$(EX_DIRS),$(eval $(B)/$d: $(patsubst %.c,$(B)/obj/%.o,$(wildcard $d/*.c))))
$(foreach f,$(wildcard examples/*.c),$(eval $(B)/$(f:.c=): $(B)/obj/$(f:.c=.o)))

$(TEST_BIN) $(CAMPAIGN): $(B)/%: $(B)/obj/%.o $(HELP_OBJ) $(CONF_STATIC) $(OURS_STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(LD_HARDENING) -pthread $(filter %.o,$^) $(CONF_STATIC) $(OURS_STATIC) -lcmocka \
		$(DEP_LIBS) $(AGENT_LIBS) -lm -o $@

$(B)/tests/fuzz/test_corpus $(B)/tests/fuzz/test_damage: $(FUZZ_OBJ) $(FUZZ_KIT)

# With the flags of tests/fuzz/run.sh.
fuzz-programs: $(FUZZ_BIN)
$(FUZZ_BIN): $(B)/%: $(B)/obj/%.o $(FUZZ_KIT) $(B)/obj/tests/fuzz/libfuzzer.o $(OURS_STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LD_HARDENING) -pthread $(filter %.o,$^) $(OURS_STATIC) $(DEP_LIBS) $(AGENT_LIBS) -lm -o $@

$(BENCH): $(BENCH_OBJ) $(OURS_STATIC)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(LD_HARDENING) -pthread $(BENCH_OBJ) $(OURS_STATIC) -lsndfile \
		$(DEP_LIBS) $(AGENT_LIBS) -lm -o $@

examples: $(EXAMPLES) ## build the examples

# ---------------------------------------------------------------------------- pkg-config

$(PC): $(B)/%.pc: pkgconfig/%.pc.in include/recoptout.h FORCE
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(call in_pc,$(prefix))|' -e 's|@LIBDIR@|$(call in_pc,$(call below_prefix,$(libdir)))|' \
		-e 's|@INCLUDEDIR@|$(call in_pc,$(call below_prefix,$(includedir)))|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(DEP_LIBS) -pthread|' \
		-e 's|@AGENT_LIBS_PRIVATE@|$(AGENT_LIBS) -pthread|' $< >$@

# A space has a backslash before it in a .pc file, and pkg-config gives it to the shell so.
nothing      :=
space        := $(nothing) $(nothing)
in_pc         = $(subst $(space),\\$(space),$(1))
below_prefix  = $(subst $(prefix)/,$${prefix}/,$(1))

# ---------------------------------------------------------------------------- install

# The MCP server is started by agents, with an environment of theirs: it finds its libraries by itself.
MCP_RPATH = $(shell realpath -m --relative-to='$(bindir)' '$(libdir)')
$(B)/recoptout-mcp: $(patsubst %.c,$(B)/obj/%.o,$(wildcard examples/mcp_server/*.c)) $(MCP_ALSO) $(SHARED) $(AGENT_SHARED) FORCE
	$(say) LD $@
	$(Q)$(CC) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS) $(LD_HARDENING) -pthread $(filter %.o,$^) $(OURS_SHARED) \
		-Wl,-rpath,'$$ORIGIN/$(MCP_RPATH)' $(AGENT_LIBS) -o $@

# In double quotes: a path may have spaces.
TO_INCLUDE = "$(DESTDIR)$(includedir)"
TO_LIB     = "$(DESTDIR)$(libdir)"
TO_BIN     = "$(DESTDIR)$(bindir)"
install: lib $(B)/recoptout-mcp ## install headers, libraries, their .pc files and recoptout-mcp (DESTDIR, prefix, bindir, libdir, includedir)
	$(INSTALL) -d $(TO_INCLUDE)/recoptout $(TO_LIB)/pkgconfig $(TO_BIN)
	$(INSTALL) -m 755 $(B)/recoptout-mcp $(TO_BIN)/
	$(INSTALL) -m 644 $(wildcard include/*.h) $(TO_INCLUDE)/
	$(INSTALL) -m 644 $(wildcard include/recoptout/*.h) $(TO_INCLUDE)/recoptout/
	$(INSTALL) -m 755 $(SHARED) $(AGENT_SHARED) $(TO_LIB)/
	$(INSTALL) -m 644 $(CONF_STATIC) $(TO_LIB)/
	ln -sf $(REAL) $(TO_LIB)/$(SONAME)
	ln -sf $(SONAME) $(TO_LIB)/librecoptout.so
	ln -sf $(AGENT_REAL) $(TO_LIB)/$(AGENT_SONAME)
	ln -sf $(AGENT_SONAME) $(TO_LIB)/librecoptout-agent.so
	$(INSTALL) -m 644 $(PC) $(TO_LIB)/pkgconfig/
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then PATH=$$PATH:/sbin:/usr/sbin ldconfig || :; fi

uninstall: ## remove what install put there
	rm -f $(patsubst include/%,$(TO_INCLUDE)/%,$(HEADERS)) $(patsubst $(B)/%,$(TO_LIB)/pkgconfig/%,$(PC))
	rm -f $(TO_BIN)/recoptout-mcp $(TO_LIB)/$(REAL) $(TO_LIB)/$(SONAME) $(TO_LIB)/librecoptout.so
	rm -f $(TO_LIB)/$(AGENT_REAL) $(TO_LIB)/$(AGENT_SONAME) $(TO_LIB)/librecoptout-agent.so
	rm -f $(TO_LIB)/librecoptout-conformance.a
	if [ -d $(TO_INCLUDE)/recoptout ]; then rmdir $(TO_INCLUDE)/recoptout; fi

# ---------------------------------------------------------------------------- tests

TESTS ?= $(TEST_BIN)

tests: $(TEST_BIN) ## build the tests

unit: $(TESTS) ## build and run the unit, promise and layout tests (TESTS=build/tests/unit/test_x for one)
	@SAN='$(SAN)' tests/tools/run_tests.sh $(B)/log $(TESTS)

check-abi: lib $(B)/examples/01_push_and_opt_out ## the interface as saved, headers alone, symbols, an earlier client, hardening
	@B='$(B)' CC='$(CC)' CXX='$(CXX)' tests/tools/abi_check.sh

abi-dump: ## save the binary interface as it is now (docs/abi.md)
	@tests/tools/packages.sh check
	@tests/abi/save.py

check-lint: ## ban list, formatting, spelling, shell scripts
	@tests/tools/lint.sh --self-test
	@tests/tools/lint.sh

check-install: lib ## install into an empty folder, build a program against it, uninstall
	@B='$(B)' CC='$(CC)' RUN_MAKE='$(MAKE)' tests/tools/install_check.sh

check-python: ## the Python package, installed, with pytest
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/python/run.sh

check-agents: ## MCP server, tool definitions and handlers, with the platforms' own tools from npm
	@tests/tools/packages.sh agents
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/node/run.sh
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/e2e/webhook_check.sh

check-telephony: ## real SIP calls with recorded speech, beside real recorders; about a quarter of an hour
	@tests/tools/packages.sh telephony
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' B='$(B)' tests/telephony/run.sh

check-readme: ## what README.md prints, run as printed in a clean clone
	@tests/tools/packages.sh check
	@CC='$(CC)' /usr/bin/python3 tests/e2e/documents.py --quick README.md

check-documents: ## the same, everything
	@tests/tools/packages.sh check
	@CC='$(CC)' /usr/bin/python3 tests/e2e/documents.py

check-musl: ## the sources compiled for musl
	@tests/tools/packages.sh musl
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/musl.sh

check-cross: ## the tests with 32-bit pointers (i386), on s390x, arm64 and armhf (qemu), and folders between them
	@tests/tools/packages.sh cross
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/cross.sh i386 s390x arm64 armhf

format: ## format the C sources with clang-format 14
	clang-format-14 -i $(wildcard $(foreach d,lib/* include include/* tests/* examples examples/*,$d/*.[ch]) tests/*.[ch])

FOR_WHAT ?= check
packages: ## install the Debian packages of `make check` (FOR_WHAT=all: of check-all)
	@tests/tools/packages.sh '$(FOR_WHAT)'

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

bench-plots: $(BENCH) ## draw docs/performance/*.svg again from the last whole run of bench
	@$(BENCH) --draw $(BENCH_OUT)/results.json docs/performance

# ---------------------------------------------------------------------------- proof
# Campaigns, described in docs/testing.md. `make check` and `make check-all` run the quick part of each.

check-faults: ## every allocation, backend call, file operation and system call fails once, then two to four together
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
	@tests/tools/packages.sh clang
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/fuzz/run.sh --seconds '$(SECONDS_EACH)' $(ONLY)

coverage: ## branches of lib/ that the tests reach, as a table; fails below tests/coverage
	@tests/tools/packages.sh coverage
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/coverage.sh

check: ## what every change has to pass: lint, gcc, tests, ABI, install, README, Python, demo; five minutes on two cores
	@tests/tools/packages.sh check
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/check.sh check

check-all: ## the rest: clang, sanitizers, model, npm, servers, other C library and machines, coverage; half an hour
	@tests/tools/packages.sh all
	+@RUN_MAKE='$(MAKE) --no-print-directory $(JOBS)' tests/tools/check.sh all

# ---------------------------------------------------------------------------- clean

clean: ## remove what was built
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
