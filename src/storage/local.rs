pub struct Local;
