# SPDX-License-Identifier: Apache-2.0
#
# make            build everything into build/bin
# make demo       install what is missing, build, run the demonstration (root)
# make check      install what is missing, build, lint, test everything (root)
#
# Folder = executable: every .c file of a role's folder is linked into that role's executable,
# together with what it uses of daemon/lib (an archive, so that nothing else comes along).

ifeq ($(origin CC),default)
CC := gcc
endif
BPF_CLANG ?= clang-14
BPFTOOL ?= /usr/sbin/bpftool
B := build
VERSION := 0.1.0

HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
CPPFLAGS += -D_GNU_SOURCE -DCUSTODY_VERSION='"$(VERSION)"' -Iinclude -Idaemon/lib -I$(B)/gen -isystem /usr/include/libnl3
CFLAGS += -std=gnu17 -O2 -g $(WARN) $(HARDEN) -ffunction-sections -fdata-sections
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
LDLIBS := -lbpf -lseccomp -lcap -lnl-idiag-3 -lnl-route-3 -lnl-genl-3 -lnl-3 -linih -ljansson -lcrypto \
	-lsystemd

# executable : folder
ROLES := custodyd:daemon/warden custody-front:daemon/front custody-planner:daemon/planner \
	custody-jail:daemon/jail custody-broker:daemon/broker custody-recorder:daemon/recorder \
	custody-sweeper:daemon/sweeper custodyctl:tools/custodyctl custody-verify:tools/custody-verify
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
.PHONY: all clean
all: $(BINS)

# ---- bpf/: one object per hook family, linked into one, one skeleton ----
$(B)/bpf/%.o: bpf/%.bpf.c $(wildcard bpf/*.h include/custody/*.h)
	@mkdir -p $(@D)
	$(BPF_CLANG) -g -O2 -Wall -Wextra -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Iinclude \
		-I/usr/include/x86_64-linux-gnu -c $< -o $@

$(B)/bpf/custody.linked: $(BPF_OBJ)
	$(BPFTOOL) gen object $@ $^

$(B)/gen/custody.skel.h: $(B)/bpf/custody.linked
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name custody_bpf > $@

# ---- objects ----
$(B)/obj/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -I$(dir $<) -MMD -MP -c $< -o $@

$(B)/libcustody.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

define ROLE_RULE
$(B)/bin/$(call role_name,$(1)): $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(call role_dir,$(1))/*.c)) $(B)/libcustody.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach r,$(PRESENT),$(eval $(call ROLE_RULE,$(r))))

# ---- unit tests (ASan, UBSan) and fuzz targets (libFuzzer) ----
# A test names the product sources it needs besides daemon/lib in a comment: "link: a.c b.c".
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_CFLAGS := -std=gnu17 -O1 -g $(WARN) $(SAN)
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_CC ?= clang-14
linked = $(shell sed -n 's/.*link: \([^*]*\).*/\1/p' $(1))

$(B)/san/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(SAN_CFLAGS) -MMD -MP -c $< -o $@
$(B)/san/libcustody.a: $(LIB_SRC:%.c=$(B)/san/%.o)
	@rm -f $@
	$(AR) rcs $@ $^
$(B)/unit/%: tests/unit/%.c $(B)/san/libcustody.a $(wildcard daemon/*/*.c daemon/*/*.h tools/*/*.c include/custody/*.h) | $(SKEL)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I. -Itests/unit $(SAN_CFLAGS) -o $@ $< $(call linked,$<) $(B)/san/libcustody.a \
		-lcmocka $(LDLIBS)
$(B)/fuzz/%: tests/fuzz/%.c $(LIB_SRC) $(wildcard daemon/*/*.c daemon/*/*.h tools/*/*.c include/custody/*.h) | $(SKEL)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) -I. -std=gnu17 -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -ffunction-sections -Wl,--gc-sections -o $@ $< $(call linked,$<) \
		$(LIB_SRC) $(LDLIBS)
.PHONY: unit fuzz
unit: $(UNIT)
fuzz: $(FUZZ)

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
