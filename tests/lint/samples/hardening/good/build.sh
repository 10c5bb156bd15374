mkdir -p build/bin
gcc -fPIE -pie -O1 -fstack-protector-all -Wl,-z,relro,-z,now,-z,noexecstack -o build/bin/sample sample.c
