mktemp -d /tmp/sample.XXXXXX
