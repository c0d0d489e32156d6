"""What everything stands on: Theano brought up, files, paths, configuration, threads, errors."""
