from k3s_tui.cli import main

main()
