//! The epoch loop that ties sources, dataflow and store together.
