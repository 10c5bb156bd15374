struct sample {
	__u32 a;
};
