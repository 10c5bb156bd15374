mkdir -p build/bin
cp planner.sh build/bin/custody-planner
chmod +x build/bin/custody-planner
