pub struct RocksIndex;
