pub struct MemoryIndex;
