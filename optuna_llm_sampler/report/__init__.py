"""What people look at: reports, plots and the dashboard's note."""
