#include <linux/types.h>
struct sample {
	__u32 a;
};
