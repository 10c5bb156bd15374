int bpf_map_update_elem(); int main(void) { return bpf_map_update_elem(0); }
