# SPDX-License-Identifier: Apache-2.0
#
# make            build everything into build/bin
# make demo       install what is missing, build, run the demonstration (root)
# make check      install what is missing, build, lint, test everything (root)
#
# make lint       style, documents and link rules only
# make check-root the privileged tests only (root)
# make fuzz-run   every fuzz target, RUNS=20000 inputs each
# make check-vm   the privileged tests that only the kernels of tests/vm/kernels can run, emulated
#                 (root); ALL=1 runs every privileged test there, which takes long
# make verifier   write tests/vm/verifier.txt anew: what BPF programs cost each kernel's verifier
# make vm         a shell in a virtual machine with custody installed; KERNEL=6.1 chooses (root)
# make check-gpu  what only a real GPU can show
# make bench      launches, requests, measuring of models (root)
# make install    into $(DESTDIR)$(PREFIX)
#
# V=1 prints the commands. CC=clang-14 B=build-clang builds a second tree beside the first.
#
# Folder = executable: every .c file of a role's folder is linked into that role's executable,
# together with what it uses of daemon/lib (an archive, so that nothing else comes along).

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := ar
endif
BPF_CLANG ?= clang-14
FUZZ_CC ?= clang-14
BPFTOOL ?= /usr/sbin/bpftool
B := build
VERSION := 0.1.0
RUNS ?= 20000

PREFIX ?= /usr
SYSCONFDIR ?= /etc
INSTALL ?= install

Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' $(1) $(2)

HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=2
ARCH := $(shell uname -m)
ifeq ($(ARCH),x86_64)
HARDEN += -fcf-protection
BPF_ARCH := x86
else ifeq ($(ARCH),aarch64)
HARDEN += -mbranch-protection=standard
BPF_ARCH := arm64
else
$(error custody is built for x86_64 and aarch64, not for $(ARCH))
endif
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
CPPFLAGS += -D_GNU_SOURCE -DCUSTODY_VERSION='"$(VERSION)"' -Iinclude -Idaemon/lib -I$(B)/gen -isystem /usr/include/libnl3
CFLAGS += -std=gnu17 -O2 -g $(WARN) $(HARDEN) -ffunction-sections -fdata-sections
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
LDLIBS := -lbpf -lseccomp -lcap -lnl-idiag-3 -lnl-route-3 -lnl-genl-3 -lnl-3 -linih -ljansson -lcrypto \
	-lsystemd -lz

# executable : folder
ROLES := custodyd:daemon/warden custody-front:daemon/front custody-planner:daemon/planner \
	custody-jail:daemon/jail custody-broker:daemon/broker custody-recorder:daemon/recorder \
	custody-sweeper:daemon/sweeper custody-resolver:daemon/resolver \
	custody-measurer:daemon/measurer custodyctl:tools/custodyctl custody-verify:tools/custody-verify
role_name = $(firstword $(subst :, ,$(1)))
role_dir = $(lastword $(subst :, ,$(1)))
PRESENT := $(foreach r,$(ROLES),$(if $(wildcard $(call role_dir,$(r))/*.c),$(r)))
BINS := $(foreach r,$(PRESENT),$(B)/bin/$(call role_name,$(r)))

LIB_SRC := $(wildcard daemon/lib/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.o)
SKEL := $(if $(BPF_SRC),$(B)/gen/custody.skel.h)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all unit fuzz root deps demo-deps demo check lint check-root fuzz-run check-gpu bench vm check-vm verifier \
	install clean
all: $(BINS)

# ---- bpf/: one object per hook family, linked into one, one skeleton ----
$(B)/bpf/%.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)
	$(Q)$(BPF_CLANG) -g -O2 -Wall -Wextra -Werror -target bpf -mcpu=v3 \
		-D__TARGET_ARCH_$(BPF_ARCH) -Iinclude -I/usr/include/$(ARCH)-linux-gnu -MMD -MP -c $< -o $@

# maps.o first: libbpf 1.1 gives maps a wrong offset when a use comes before the definition.
$(B)/bpf/custody.linked: $(B)/bpf/maps.o $(filter-out $(B)/bpf/maps.o,$(BPF_OBJ))
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^
	$(Q)if readelf -SW $@ 2>/dev/null | grep -E '\.(rodata|data|bss)'; then \
		echo "bpf/: data sections become maps that are not pinned; see subject_new()"; exit 1; fi

$(B)/gen/custody.skel.h: $(B)/bpf/custody.linked
	@mkdir -p $(@D)
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name custody_bpf > $@

# ---- objects: three kinds of every product source, made only when something needs them ----
#   $(B)/obj   what is shipped        $(B)/san   for unit tests, ASan and UBSan
#   $(B)/cov   for fuzz targets, libFuzzer's coverage, ASan and UBSan
# A test names the product sources it needs besides daemon/lib in a comment: "link: a.c b.c";
# words that begin with '-' are passed to the linker.
link_words = $(shell sed -n 's/.*link: \([^*]*\).*/\1/p' $(1))
link_obj = $(patsubst %.c,$(B)/$(1)/%.o,$(filter %.c,$(2)))
link_flag = $(filter -%,$(1))

SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_CFLAGS := -std=gnu17 -O1 -g $(WARN) $(SAN)
COV_CFLAGS := -std=gnu17 -O1 -g $(SAN) -ffunction-sections -fdata-sections

$(B)/obj/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -I$(<D) -MMD -MP -c $< -o $@

$(B)/san/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,SAN,$@)
	$(Q)$(CC) $(CPPFLAGS) -I. -I$(<D) -DCUSTODY_SECCOMP_ERRNO $(SAN_CFLAGS) -MMD -MP -c $< -o $@

$(B)/cov/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,COV,$@)
	$(Q)$(FUZZ_CC) $(CPPFLAGS) -I. -I$(<D) $(COV_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(B)/libcustody.a: $(LIB_OBJ)
$(B)/san/libcustody.a: $(LIB_SRC:%.c=$(B)/san/%.o)
$(B)/cov/libcustody.a: $(LIB_SRC:%.c=$(B)/cov/%.o)
%/libcustody.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# ---- executables ----
define ROLE_RULE
$(B)/bin/$(call role_name,$(1)): $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(call role_dir,$(1))/*.c)) $(B)/libcustody.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach r,$(PRESENT),$(eval $(call ROLE_RULE,$(r))))

# ---- tests/unit/test_*.c: cmocka programs ----
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
define UNIT_RULE
$(B)/unit/$(1): $(B)/san/tests/unit/$(1).o $(call link_obj,san,$(2)) $(B)/san/libcustody.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $(SAN) -o $$@ $$^ $(call link_flag,$(2)) -lcmocka $$(LDLIBS)
endef
$(foreach t,$(notdir $(UNIT)),$(eval $(call UNIT_RULE,$(t),$(call link_words,tests/unit/$(t).c))))

# ---- tests/fuzz/fuzz_*.c: libFuzzer targets ----
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
define FUZZ_RULE
$(B)/fuzz/$(1): $(B)/cov/tests/fuzz/$(1).o $(call link_obj,cov,$(2)) $(B)/cov/libcustody.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(FUZZ_CC) $(SAN) -fsanitize=fuzzer -Wl,--gc-sections -o $$@ $$^ $(call link_flag,$(2)) $$(LDLIBS)
endef
$(foreach t,$(notdir $(FUZZ)),$(eval $(call FUZZ_RULE,$(t),$(call link_words,tests/fuzz/$(t).c))))

# ---- tests/root/*.c: helpers of the privileged tests; no sanitizers, which would make syscalls
# of their own below a seccomp filter ----
ROOT := $(patsubst tests/root/%.c,$(B)/root/%,$(filter-out %_preload.c,$(wildcard tests/root/*.c)))
define ROOT_RULE
$(B)/root/$(1): $(B)/obj/tests/root/$(1).o $(call link_obj,obj,$(2)) $(B)/libcustody.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $(call link_flag,$(2)) $$(LDLIBS)
endef
$(foreach t,$(notdir $(ROOT)),$(eval $(call ROOT_RULE,$(t),$(call link_words,tests/root/$(t).c))))

# ---- tests/root/*_preload.c: loaded into the product by a test, to make its calls fail ----
PRELOAD := $(patsubst tests/root/%.c,$(B)/root/%.so,$(wildcard tests/root/*_preload.c))
$(B)/root/%_preload.so: tests/root/%_preload.c
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -O2 -g -Wall -Wextra -Werror -fPIC -shared -o $@ $<

# ---- tests/attack/*.c: the corpus of attacks, one program for each subject ----
ATTACK := $(patsubst tests/attack/%.c,$(B)/attack/%,$(filter-out %/common.c,$(wildcard tests/attack/*.c)))
define ATTACK_RULE
$(B)/attack/$(1): $(B)/obj/tests/attack/$(1).o $(call link_obj,obj,$(2)) $(B)/libcustody.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $(call link_flag,$(2)) $$(LDLIBS)
endef
$(foreach t,$(notdir $(ATTACK)),$(eval $(call ATTACK_RULE,$(t),$(call link_words,tests/attack/$(t).c))))

unit: $(UNIT)
fuzz: $(FUZZ)
root: $(ROOT) $(PRELOAD) $(ATTACK)

# ---- running ----
# A recursive make, because what is missing is installed before anything can be built.
export B CC
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
SELFTEST := $(sort $(wildcard tests/runner/*.sh))
LINT := tests/lint/selftest.sh tests/lint/lint.sh
PRIVILEGED := $(sort $(wildcard tests/root/[0-9]*.sh)) $(sort $(wildcard tests/attack/[0-9]*.sh))
MACHINES = $(addprefix $(if $(ALL),vm-all:,vm:),$(shell tests/vm/run --list --$(if $(ALL),all-)tests))

deps:
	$(Q)tests/deps.sh check
demo-deps:
	$(Q)tests/deps.sh demo

demo: demo-deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)tests/demo/demo.sh

check: deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all unit fuzz root
	$(Q)tests/run --fuzz-runs $(RUNS) $(SELFTEST) $(LINT) $(sort $(UNIT)) $(sort $(FUZZ)) $(PRIVILEGED) $(MACHINES)

lint: all
	$(Q)tests/run $(LINT)

check-root: all root
	$(Q)tests/run $(PRIVILEGED)

fuzz-run: fuzz
	$(Q)tests/run --fuzz-runs $(RUNS) $(sort $(FUZZ))

check-vm: deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all root
	$(Q)tests/run $(MACHINES)

verifier: deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all root
	$(Q)tests/vm/verifier.sh

# tests/vm/run says more; `tests/vm/run 6.1 -- COMMAND` runs one command there.
KERNEL ?= 6.12
vm: deps
	$(Q)tests/vm/run --shell $(KERNEL)

check-gpu:
	@if [ -e /proc/driver/nvidia/version ]; then \
		echo "there is an NVIDIA GPU, but custody has no GPU test yet: they come with GPU jails"; \
		exit 1; \
	else \
		echo "skipped: no GPU"; \
	fi

bench: deps
	$(Q)$(MAKE) --no-print-directory $(JOBS) all $(B)/root/syscall_probe $(B)/root/hash_driver \
		$(B)/root/verity_preload.so
	$(Q)tests/bench/bench.py

# ---- installing ----
# Role executables stand together, because custodyd starts its roles from its own directory
# (/proc/self/exe, so that the link in sbin leads there).
LIBEXEC := $(PREFIX)/lib/custody
UNITDIR ?= $(PREFIX)/lib/systemd/system
MAN := $(wildcard profiles/*.[1-8] daemon/*/*.[1-8] tools/*/*.[1-8])
PROFILES := $(wildcard profiles/*.ini)
BASH_COMPLETION := $(wildcard tools/*/*.bash)
ZSH_COMPLETION := $(wildcard tools/*/_custody*)

install: all
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)$(INSTALL) -d $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
		$(DESTDIR)$(PREFIX)/share/custody/profiles $(DESTDIR)$(SYSCONFDIR)/custody/profiles \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(UNITDIR) \
		$(DESTDIR)$(PREFIX)/share/doc/custody
	$(Q)$(INSTALL) -m 755 $(BINS) $(DESTDIR)$(LIBEXEC)
	$(Q)ln -sf ../lib/custody/custodyd $(DESTDIR)$(PREFIX)/sbin/custodyd
	$(Q)ln -sf ../lib/custody/custodyctl $(DESTDIR)$(PREFIX)/bin/custodyctl
	$(Q)ln -sf ../lib/custody/custody-verify $(DESTDIR)$(PREFIX)/bin/custody-verify
	$(Q)$(if $(PROFILES),$(INSTALL) -m 644 $(PROFILES) $(DESTDIR)$(PREFIX)/share/custody/profiles)
	$(Q)$(foreach m,$(MAN),$(INSTALL) -D -m 644 $(m) \
		$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) :
	$(Q)$(foreach c,$(BASH_COMPLETION),$(INSTALL) -D -m 644 $(c) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/$(basename $(notdir $(c))) &&) :
	$(Q)$(foreach c,$(ZSH_COMPLETION),$(INSTALL) -D -m 644 $(c) \
		$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/$(notdir $(c)) &&) :
	$(Q)sed 's|/usr/sbin/|$(PREFIX)/sbin/|' systemd/custodyd.service > $(DESTDIR)$(UNITDIR)/custodyd.service
	$(Q)chmod 644 $(DESTDIR)$(UNITDIR)/custodyd.service
	$(Q)$(INSTALL) -m 644 systemd/custody.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/custody.conf
	$(Q)$(INSTALL) -m 644 systemd/custody.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/custody.conf
	$(Q)$(INSTALL) -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/custody

clean:
	rm -rf $(B)

-include $(shell find $(B) -path $(B)/vm -prune -o -type f -name '*.d' -print 2>/dev/null)
